//! What comes after a semicolon or stands as a statement of its own: queries, clauses, and what changes something.

use super::tokens::{Kind, Token, Word};
use super::{Operand, Reader, TOKENS_MAX};
use crate::guard::threats::bytes::{begins_with, from, is_blank, is_word, listed, low};

/// Words that a definition goes on with, behind its name.
const GOES_ON: [&str; 25] = [
    "add",
    "after",
    "before",
    "cascade",
    "change",
    "character",
    "charset",
    "column",
    "default",
    "drop",
    "engine",
    "identified",
    "if",
    "instead",
    "login",
    "modify",
    "on",
    "owner",
    "password",
    "purge",
    "rename",
    "restrict",
    "returns",
    "superuser",
    "using",
];

/// Words behind `select` that a number may follow in some database, sorted; and what begins with `sql_` or `_`.
const BEFORE_NUMBERS: [&str; 9] = [
    "connect_by_root",
    "first",
    "high_priority",
    "prior",
    "skip",
    "straight_join",
    "stream",
    "top",
    "unique",
];

/// Tokens that are read for a comment that cuts the query's rest off.
const TAIL_TOKENS_MAX: usize = 12;

impl Reader<'_> {
    /// After a semicolon.
    pub(super) fn statement(&mut self) -> Option<&'static str> {
        let mut token = self.next();
        // The statement may stand in a further line.
        let mut cut = false;
        let len = self.tokens.bytes.len();
        while matches!(token.kind, Kind::Semicolon | Kind::Close) || token.kind == Kind::Cut && token.end < len {
            cut |= token.kind == Kind::Cut;
            token = self.next();
        }
        let found = self.stacked(token);
        found.or((cut && self.quoted && !self.prose).then_some("sql.comment"))
    }

    /// A statement behind another, from its first token.
    fn stacked(&mut self, token: Token) -> Option<&'static str> {
        match token.kind {
            Kind::Word(Word::Select) => self.found("sql.stacked"),
            Kind::Word(Word::Statement) => self.changes(token, true),
            Kind::Word(Word::Part) if self.is(token, "with") => None,
            Kind::Cut if self.quoted && !self.prose => Some("sql.comment"),
            Kind::End if self.quoted && !self.prose => {
                let semicolons = self.tokens.bytes.iter().filter(|b| **b == b';').count();
                (semicolons == 1
                    && !self.tokens.bytes.trim_ascii().contains(&b' ')
                    && self.tokens.bytes.trim_ascii_end().ends_with(b"';"))
                .then_some("sql.close")
            }
            Kind::Word(Word::Name) if self.is(token, "if") || self.is(token, "print") => (self.peek().kind
                == Kind::Open)
                .then(|| self.found("sql.stacked"))
                .flatten(),
            _ => None,
        }
    }

    pub(super) fn clause(&mut self, clause: Token) -> Option<&'static str> {
        let token = self.next();
        if self.is(clause, "into") {
            let file = self.is(token, "outfile") || self.is(token, "dumpfile");
            return file.then_some("sql.file");
        }
        if self.is(clause, "group") || self.is(clause, "order") {
            if !self.is(token, "by") {
                return None;
            }
            let first = self.next();
            let operand = self.operand(first)?;
            let after = self.peek().kind;
            return match operand {
                Operand::Number | Operand::Call | Operand::Select | Operand::Group => self.found("sql.clause"),
                Operand::Name if self.quoted || matches!(after, Kind::Cut | Kind::Word(Word::Clause)) => (!self.prose
                    && matches!(after, Kind::Cut | Kind::Comma | Kind::Open | Kind::Word(Word::Clause)))
                .then_some("sql.clause"),
                _ => None,
            };
        }
        if self.is(clause, "having") {
            let left = self.operand(token)?;
            let after = self.peek().kind;
            return (matches!(after, Kind::Compare) || left == Operand::Select)
                .then(|| self.found("sql.clause"))
                .flatten();
        }
        if self.is(clause, "procedure") {
            return self.is(token, "analyse").then_some("sql.clause");
        }
        if self.is(clause, "limit") {
            let number = token.kind == Kind::Number;
            let after = self.peek().kind;
            return (number
                && (self.quoted || matches!(after, Kind::Comma | Kind::Cut | Kind::Word(Word::Clause | Word::Union))))
            .then(|| self.found("sql.clause"))
            .flatten();
        }
        if self.is(clause, "except") || self.is(clause, "intersect") {
            return (token.kind == Kind::Word(Word::Select)).then_some("sql.union");
        }
        None
    }

    /// From a word behind the query's string: whether it is one that a query goes on with (`offset 1`, `for update`, `desc`) and
    /// a comment cuts the rest off soon, whatever else the grammar asks for between.
    pub(super) fn cut_tail(&mut self, word: Token) -> Option<&'static str> {
        if !self.quoted || self.owned || self.prose {
            return None;
        }
        let second = self.peek();
        let any = |token: Token, words: &[&str]| words.iter().any(|word| self.is(token, word));
        let sorts = any(word, &["asc", "desc"])
            && (matches!(second.kind, Kind::Cut | Kind::Comma) || any(second, &["limit", "nulls", "offset"]))
            || any(word, &["group", "order"]) && any(second, &["by"]);
        let locks = any(word, &["for"]) && any(second, &["browse", "json", "key", "no", "share", "update", "xml"])
            || any(word, &["lock"]) && any(second, &["in"]);
        let filters = any(word, &["fetch", "having", "returning", "window"]);
        let counted = matches!(
            second.kind,
            Kind::Number | Kind::Open | Kind::Variable | Kind::Text { .. } | Kind::Word(Word::Literal | Word::Part)
        );
        let skips = (filters || any(word, &["escape", "limit", "offset"])) && counted
            || any(word, &["nulls"]) && any(second, &["first", "last"])
            || any(word, &["option"]) && second.kind == Kind::Open
            || filters && any(second, &["first", "next"]);
        // `kids' having fun #`: a name behind these asks for nothing by itself.
        let goes_on = filters
            && matches!(
                second.kind,
                Kind::Word(Word::Name | Word::Not) | Kind::Arithmetic | Kind::Not
            );
        if !(sorts || locks || skips || goes_on) {
            return None;
        }
        let mut asks = skips || sorts || locks;
        // Whoever speaks leaves blanks.
        let joined = |token: Token| {
            let before = token.start.checked_sub(1);
            before.is_some_and(|at| !is_blank(low(self.tokens.bytes, at)))
        };
        let tight = any(word, &["having", "returning"]) && (joined(word) || joined(second));
        let column = any(word, &["having"]) && self.may_be_column(second);
        let mut names = 0_usize;
        for _ in 0..TAIL_TOKENS_MAX {
            let token = self.next();
            match token.kind {
                Kind::Cut => {
                    // `admin' having id#`: one name, which MySQL takes for a condition, and a comment right behind it, one that
                    // holds signs (`-- -`), or any behind what columns are called.
                    let bytes = self.tokens.bytes;
                    let close = token.start.checked_sub(1).is_some_and(|at| !is_blank(low(bytes, at)));
                    let holds = !from(bytes, token.start + 2).trim_ascii().is_empty();
                    let bare = self.ends_bare(token) && (close || holds);
                    let named = names == 1 && (bare || tight || column);
                    // `admin' having id # x`; a number behind the sign is one.
                    let rest = from(bytes, token.start + 1).trim_ascii();
                    let soon = named && rest.len() < 3 && !rest.iter().any(u8::is_ascii_digit);
                    return ((asks || named) && (self.cuts(token) || soon)).then_some("sql.comment");
                }
                Kind::End | Kind::Other | Kind::Text { closed: false } => return None,
                Kind::Word(Word::Name) => names += 1,
                _ => asks = true,
            }
        }
        None
    }

    /// Whether a word is written as columns are, or called as those of logins.
    fn may_be_column(&self, word: Token) -> bool {
        const COLUMNS: [&str; 16] = [
            "active", "admin", "email", "enabled", "id", "level", "login", "mail", "name", "pass", "password", "role",
            "status", "token", "uid", "username",
        ];
        let text = self.tokens.text(word);
        word.kind == Kind::Word(Word::Name)
            && (listed(&COLUMNS, text) || text.iter().any(|b| matches!(b, b'_' | b'`' | b'[')))
    }

    /// Whether what follows goes on as a definition of `object` does, and no phrase: `(`, `as select`, `on t(`, `before insert`.
    fn defines(&self, object: Token) -> bool {
        let mut tokens = self.tokens;
        let (one, two, three) = (tokens.next(), tokens.next(), tokens.next());
        let as_words = ["begin", "table", "values", "with"];
        one.kind == Kind::Open
            || self.is(one, "as")
                && (matches!(two.kind, Kind::Open | Kind::Word(Word::Select))
                    || as_words.iter().any(|word| self.is(two, word)))
            || self.is(one, "on") && three.kind == Kind::Open
            || self.is(object, "trigger") && ["after", "before", "instead"].iter().any(|word| self.is(one, word))
    }

    /// A query of its own, after `select`, in parentheses or not. What lists or sources look like tells it from prose.
    pub(super) fn select(&mut self, grouped: bool) -> Option<&'static str> {
        let mut exact = false;
        let mut names = 0_usize;
        let named = self.is_column(self.peek());
        for index in 0..TOKENS_MAX {
            let token = self.next();
            match token.kind {
                // `"Select a model"`: what is cited.
                Kind::Text { closed: false } if self.quoted && names > 0 && token.end == token.start + 1 => {
                    return None;
                }
                // A column's other name may be a text.
                Kind::Text { .. } if names == 1 && self.prose && grouped => {}
                Kind::Text { .. } if names > 1 || names > 0 && self.prose => return None,
                // `Select List 1`
                Kind::Number if names > 0 && !grouped && self.peek().kind == Kind::End => return None,
                // `(select option 2)`: no column has a number for its other name.
                Kind::Number
                    if grouped && named && index == 1 && matches!(self.peek().kind, Kind::Close | Kind::End) =>
                {
                    return None;
                }
                Kind::Number | Kind::Text { .. } | Kind::Variable | Kind::Open | Kind::Compare | Kind::Logic => {
                    exact = true;
                    names = 0;
                }
                Kind::Word(Word::Literal | Word::Part) => names = 0,
                Kind::Arithmetic => {
                    exact |= self.is(token, "*");
                    names = 0;
                }
                Kind::Comma => {
                    exact |= names == 1;
                    names = 0;
                }
                Kind::Close if exact => return self.found("sql.select"),
                Kind::End | Kind::Cut => return (exact && names <= 1).then(|| self.found("sql.select")).flatten(),
                Kind::Word(Word::Select | Word::Union) => return self.found("sql.select"),
                Kind::Word(Word::From) => {
                    let table = self.next();
                    let named = matches!(table.kind, Kind::Word(Word::Name) | Kind::Open);
                    let after = self.peek().kind;
                    let more = matches!(
                        after,
                        Kind::Word(Word::Where | Word::Union | Word::Clause)
                            | Kind::Cut
                            | Kind::Semicolon
                            | Kind::Close
                            | Kind::Comma
                            | Kind::Arithmetic
                    ) || after == Kind::Open && exact;
                    let ends = after == Kind::End && exact;
                    return (named && (more || exact || ends) && names <= 2)
                        .then(|| self.found("sql.select"))
                        .flatten();
                }
                Kind::Word(Word::Name) => {
                    names += 1;
                    if names > 2 {
                        return None;
                    }
                }
                Kind::Word(_) | Kind::Not | Kind::Bits => {}
                Kind::Close | Kind::Semicolon | Kind::Other => return None,
            }
        }
        None
    }

    /// Whether a word behind `select` is a column's name, as it is mostly written, and nothing that changes how is selected.
    fn is_column(&self, word: Token) -> bool {
        let text = self.tokens.text(word);
        word.kind == Kind::Word(Word::Name)
            && text.iter().all(|b| is_word(*b))
            && !text.starts_with(b"_")
            && !begins_with(text, b"sql_")
            && !listed(&BEFORE_NUMBERS, text)
    }

    /// Whether a column is set, behind `set`: `update profile set avatar` is a phrase.
    fn sets(&mut self) -> bool {
        let column = self.next();
        self.quoted || self.operand(column).is_some() && self.peek().kind == Kind::Compare
    }

    /// A statement that changes something or runs code, from its first word; `stacked` behind another.
    pub(super) fn changes(&mut self, first: Token, stacked: bool) -> Option<&'static str> {
        let mut second = self.next();
        // `create or replace function`, `create temporary table`
        const KINDS: [&str; 9] = [
            "global",
            "local",
            "materialized",
            "or",
            "replace",
            "temp",
            "temporary",
            "unique",
            "unlogged",
        ];
        // `Plan; create local user accounts`
        let mut told = true;
        if self.is(first, "create") && stacked {
            for _ in 0..3 {
                if !KINDS.iter().any(|word| self.is(second, word)) {
                    break;
                }
                second = self.next();
                told = self.quoted;
            }
        }
        let third = self.next();
        let told = told || self.is(third, "if") || self.defines(second);
        let name = matches!(third.kind, Kind::Word(Word::Name | Word::Part)) || matches!(third.kind, Kind::Open);
        let at_end = |kind: Kind| matches!(kind, Kind::End | Kind::Cut | Kind::Semicolon);
        let is = |word: &str| self.is(first, word);
        let object = [
            "table",
            "database",
            "schema",
            "view",
            "index",
            "user",
            "role",
            "procedure",
            "function",
            "trigger",
            "login",
            "column",
            "or",
        ]
        .iter()
        .any(|word| self.is(second, word));
        // A quotation's end: `"Execute Workflow"`.
        let cited = |token: Token| token.end == token.start + 1 && matches!(token.kind, Kind::Text { closed: false });
        let evil = if is("drop") || is("create") || is("alter") || is("truncate") {
            object && name && told && {
                let after = self.peek();
                // `create table for …`: what goes on as a text does.
                let goes_on = after.kind == Kind::Word(Word::Name);
                let goes_on = goes_on && !self.quoted && !GOES_ON.iter().any(|word| self.is(after, word));
                // A table without columns is none.
                let bare = is("create") && self.is(second, "table") && after.kind == Kind::End;
                at_end(after.kind) && (!bare || self.quoted)
                    || !goes_on
                        && matches!(
                            after.kind,
                            Kind::Open | Kind::Close | Kind::Comma | Kind::Word(_) | Kind::Arithmetic
                        )
            }
        } else if is("insert") || is("replace") || is("merge") {
            self.is(second, "into") && name && {
                let after = self.peek();
                matches!(after.kind, Kind::Open | Kind::Word(Word::Select | Word::Statement))
                    || self.is(after, "values")
            }
        } else if is("update") {
            second.kind == Kind::Word(Word::Name) && self.is(third, "set") && self.sets()
        } else if is("delete") {
            second.kind == Kind::Word(Word::From) && third.kind == Kind::Word(Word::Name) && {
                let after = self.peek().kind;
                at_end(after) || matches!(after, Kind::Word(Word::Where))
            }
        } else if is("declare") || is("set") {
            second.kind == Kind::Variable && self.tokens.text(second).starts_with(b"@")
        } else if is("exec") || is("execute") {
            let after = self.peek().kind;
            match second.kind {
                Kind::Open => {
                    third.kind == Kind::Variable
                        || matches!(third.kind, Kind::Text { .. })
                        || third.kind == Kind::Word(Word::Name) && self.quoted
                }
                Kind::Variable => true,
                Kind::Word(Word::Name) => {
                    let name = self.tokens.text(second);
                    name.starts_with(b"xp_")
                        || name.starts_with(b"sp_")
                        || name.eq_ignore_ascii_case(b"master")
                        || name.eq_ignore_ascii_case(b"immediate")
                        || self.quoted && at_end(after) && !cited(third)
                }
                _ => false,
            }
        } else if is("waitfor") {
            (self.is(second, "delay") || self.is(second, "time")) && matches!(third.kind, Kind::Text { .. })
        } else if is("shutdown") {
            at_end(second.kind) && (self.quoted || second.kind != Kind::End) || self.is(second, "with")
        } else if is("begin") || is("goto") {
            self.quoted
                && (matches!(third.kind, Kind::Word(Word::Statement | Word::Select))
                    || second.kind == Kind::Word(Word::Statement))
        } else if is("grant") {
            self.is(third, "on") || self.is(third, "to") || self.is(second, "all") && self.is(third, "privileges")
        } else if is("attach") {
            self.is(second, "database") && matches!(third.kind, Kind::Text { .. })
        } else {
            is("copy")
                && second.kind == Kind::Word(Word::Name)
                && self.is(third, "from")
                && (matches!(self.peek().kind, Kind::Text { .. })
                    || ["program", "stdin"].iter().any(|source| self.is(self.peek(), source)))
        };
        // `Delete from list`, on a button.
        let text = self.tokens.text(first);
        let titled =
            text.first().is_some_and(u8::is_ascii_uppercase) && text.iter().skip(1).all(u8::is_ascii_lowercase);
        let label =
            titled && first.start == 0 && self.tokens.bytes.iter().all(|b| b.is_ascii_alphabetic() || *b == b' ');
        if evil && !label {
            self.found("sql.stacked")
        } else {
            None
        }
    }
}
