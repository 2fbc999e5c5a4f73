//! Sets of characters: ranges, and Unicode properties as far as the standard library knows them.

/// A set of characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Class {
    pub negated: bool,
    pub items: Vec<Item>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// Both ends included.
    Range(char, char),
    Property {
        property: Property,
        negated: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    Any,
    Ascii,
    /// `L`, taken as Alphabetic: it also holds letter-like numbers and vowel signs.
    Letter,
    Uppercase,
    Lowercase,
    Number,
    DecimalDigit,
    WhiteSpace,
    Control,
    /// `\s` of ECMA-262.
    EcmaSpace,
}

impl Property {
    /// The property of this name; `None` for those that have no table here.
    pub fn named(name: &str) -> Option<Self> {
        let name = name
            .strip_prefix("General_Category=")
            .or_else(|| name.strip_prefix("gc="))
            .unwrap_or(name);
        Some(match name {
            "Any" => Self::Any,
            "ASCII" => Self::Ascii,
            "L" | "Letter" | "Alphabetic" | "Alpha" => Self::Letter,
            "Lu" | "Uppercase_Letter" | "Uppercase" | "Upper" => Self::Uppercase,
            "Ll" | "Lowercase_Letter" | "Lowercase" | "Lower" => Self::Lowercase,
            "N" | "Number" => Self::Number,
            "Nd" | "Decimal_Number" | "digit" => Self::DecimalDigit,
            "White_Space" | "space" => Self::WhiteSpace,
            "Cc" | "Control" | "cntrl" => Self::Control,
            _ => return None,
        })
    }

    fn admits(self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::Ascii => c.is_ascii(),
            Self::Letter => c.is_alphabetic(),
            Self::Uppercase => c.is_uppercase(),
            Self::Lowercase => c.is_lowercase(),
            Self::Number => c.is_numeric(),
            Self::DecimalDigit => is_decimal_digit(c),
            Self::WhiteSpace => c.is_whitespace(),
            Self::Control => c.is_control(),
            Self::EcmaSpace => (c.is_whitespace() && c != '\u{85}') || c == '\u{feff}',
        }
    }
}

impl Class {
    pub fn of(c: char) -> Self {
        Self::range(&[(c, c)])
    }

    pub fn range(ranges: &[(char, char)]) -> Self {
        Self {
            negated: false,
            items: ranges.iter().map(|(first, last)| Item::Range(*first, *last)).collect(),
        }
    }

    pub fn property(property: Property) -> Self {
        Self {
            negated: false,
            items: vec![Item::Property {
                property,
                negated: false,
            }],
        }
    }

    pub fn negate(mut self) -> Self {
        self.negated = !self.negated;
        self
    }

    /// `\d`
    pub fn digit() -> Self {
        Self::range(&[('0', '9')])
    }

    /// `\w`
    pub fn word() -> Self {
        Self::range(&[('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')])
    }

    /// `\s`
    pub fn space() -> Self {
        Self::property(Property::EcmaSpace)
    }

    /// `.`
    pub fn dot() -> Self {
        Self::range(&[('\n', '\n'), ('\r', '\r'), ('\u{2028}', '\u{2029}')]).negate()
    }

    pub fn admits(&self, c: char) -> bool {
        let found = self.items.iter().any(|item| match item {
            Item::Range(first, last) => (*first..=*last).contains(&c),
            Item::Property { property, negated } => property.admits(c) != *negated,
        });
        found != self.negated
    }

    /// Whether it holds nothing but ASCII letters, digits, `_`, `-` and `.`.
    pub fn is_plain(&self) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        !self.negated
            && self.items.iter().all(|item| match item {
                Item::Range(first, last) => last.is_ascii() && (*first..=*last).all(plain),
                Item::Property { .. } => false,
            })
    }
}

/// A class that is asked often: its ASCII part is one bit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quick {
    ascii: u128,
    class: Class,
}

impl From<Class> for Quick {
    fn from(class: Class) -> Self {
        let admitted = (0..128_u8).filter(|byte| class.admits(char::from(*byte)));
        let ascii = admitted.fold(0, |bits, byte| bits | 1_u128 << byte);
        Self { ascii, class }
    }
}

impl Quick {
    pub fn admits(&self, c: char) -> bool {
        if c.is_ascii() {
            self.ascii >> u32::from(c) & 1 == 1
        } else {
            self.class.admits(c)
        }
    }

    /// Whether no character is in both, as far as that is easily told.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        let within_ascii = |quick: &Self| {
            let items = &quick.class.items;
            !quick.class.negated
                && items
                    .iter()
                    .all(|item| matches!(item, Item::Range(_, last) if last.is_ascii()))
        };
        // Of two, one without a character beyond ASCII will do.
        (within_ascii(self) || within_ascii(other)) && self.ascii & other.ascii == 0
    }
}

/// Unicode's decimal digits come in runs of ten, each from one of these (Unicode 14.0.0).
const DIGIT_ZEROS: [u32; 66] = [
    0x0030, 0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40,
    0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10, 0x104A0, 0x10D30, 0x11066, 0x110F0,
    0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50,
    0x11DA0, 0x16A60, 0x16AC0, 0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0, 0x1E950,
    0x1FBF0,
];

fn is_decimal_digit(c: char) -> bool {
    let code = u32::from(c);
    let after = DIGIT_ZEROS.partition_point(|zero| *zero <= code);
    let zero = after.checked_sub(1).and_then(|at| DIGIT_ZEROS.get(at));
    zero.is_some_and(|zero| code - zero < 10)
}
