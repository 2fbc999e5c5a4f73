#!/usr/bin/env python3
"""Finds SQL injections that work, by trying: random tokens are put into a login's query, and what lets somebody in without
the password is kept, without the tokens that it does not need. One a line; a line's end in it is written as U+23CE.

    tests/threats/injections.py sqlite string 60 > FILE
    PORTCULLIS_INJECTIONS=FILE cargo test --test threats injections -- --nocapture

The database is SQLite (Python's own), MariaDB (`maria:SOCKET`, needs pymysql, user root) or PostgreSQL (`postgres:DIRECTORY`,
needs psycopg2, user postgres), the last two with an empty database `logins`. It ends by itself after the seconds given.
"""

import random
import sys
import time

CONTEXTS = {
    "string": ("select count(*) from users where name='", "' and pw='zz'"),
    "group": ("select count(*) from users where (name='", "' and pw='zz')"),
    "like": ("select count(*) from users where name like '%", "%' and pw='zz'"),
    "last": ("select count(*) from users where pw='zz' and name='", "'"),
    "double": ('select count(*) from users where name="', '" and pw="zz"'),
    "number": ("select count(*) from users where pw='zz' and id=", ""),
}
COMMON = (
    "' ' ' or and = 1 0 x 2 is not null -- /* */ /**/ || && < > + - * / % in ( ) like between ! != ~ & | , union select "
    "values name pw exists case when then end isnull notnull collate distinct true false . 1. 1e0 0x1 '' a '% <=> << ^ ; "
    "as from users limit offset order by having group using escape"
).split() + [" "] * 3 + ["\t", "\n"]
OWN = {
    "sqlite": "glob nocase rowid match regexp == <> -> ->> cast text within desc abs length iif X' window over filter".split(),
    "maria": (
        "# rlike regexp div mod xor binary ` `name` @ @@version @a:= /*! /*!1 interval row utf8mb4_bin _utf8 n' b' \" charset "
        "now pi if procedure into for update soundex convert char member of 'x' unknown \\"
    ).split() + ["-- ", "--\t", "--\n", "\x0b", "\x0c", "sounds like", "is true"],
    "postgres": (
        "::text ::int :: similar to ilike ~~ !~ @> any all array [ ] row some overlaps e' U&' $$ $1 b' at time zone symmetric "
        "unknown @ ::bool cast only returning fetch for update of ? #>"
    ).split() + ["-- ", "is true", "IS DISTINCT FROM", 'collate "C"'],
}
SEEDS = ["'| |or| |1|=|1| |--| ", "'| |or| |'", "'||||'", "1| |or| |1|=|1", "1| |or| |true"]
PIECES_MAX = 8
KEPT_MAX = 4000


def connect(database):
    """A function that runs a statement and gives its first value; nothing if the database refuses it."""
    kind, _, place = database.partition(":")
    if kind == "sqlite":
        import sqlite3

        cursor = sqlite3.connect(":memory:", isolation_level=None).cursor()
    elif kind == "maria":
        import pymysql

        cursor = pymysql.connect(unix_socket=place, user="root", database="logins", autocommit=True).cursor()
    elif kind == "postgres":
        import psycopg2

        connection = psycopg2.connect(host=place, user="postgres", dbname="logins")
        connection.autocommit = True
        cursor = connection.cursor()
    else:
        sys.exit("expected `sqlite`, `maria:SOCKET` or `postgres:DIRECTORY`")

    def first(statement):
        try:
            cursor.execute(statement)
            row = cursor.fetchone()
            return row and row[0]
        except Exception:  # Most of what is tried is no SQL, and each driver says so in its own ways.
            return None

    first("create table users(id integer primary key, name varchar(40), pw varchar(40))")
    first("insert into users values(5,'admin','p1'),(6,'bob','p2'),(7,'carol','p3')")
    return kind, first


def main():
    if len(sys.argv) != 4 or sys.argv[2] not in CONTEXTS or not sys.argv[3].isdigit():
        sys.exit(__doc__)
    kind, first = connect(sys.argv[1])
    before, behind = CONTEXTS[sys.argv[2]]
    quote = {"double": '"', "number": ""}.get(sys.argv[2], "'")
    pieces = COMMON + OWN[kind]

    def works(parts):
        return bool(first(before + "".join(parts) + behind))

    def reduced(parts):
        index = 0
        while index < len(parts):
            fewer = parts[:index] + parts[index + 1 :]
            if works(fewer):
                parts, index = fewer, 0
            else:
                index += 1
        return parts

    random.seed(1)
    found, kept, tried = set(), [seed.split("|") for seed in SEEDS], 0
    end = time.monotonic() + int(sys.argv[3])
    while time.monotonic() < end:
        tried += 1
        if random.random() < 0.5:
            parts = list(random.choice(kept))
            for _ in range(random.randint(1, 3)):
                at, how = random.randrange(len(parts) + 1), random.random()
                if how < 0.4:
                    parts[at : at + 1] = [random.choice(pieces)]
                elif how < 0.7:
                    parts.insert(at, random.choice(pieces))
                else:
                    del parts[at : at + 1]
        else:
            front = [random.choice(["", "x", "admin "]), quote] if quote else [random.choice(["1", "0", "-1", ""])]
            parts = front + [random.choice(pieces) for _ in range(random.randint(1, PIECES_MAX))]
        if not works(parts):
            continue
        parts = reduced(parts)
        text = "".join(parts)
        if text not in found:
            found.add(text)
            kept.append(parts)
            if len(kept) > KEPT_MAX:
                kept = random.sample(kept, KEPT_MAX // 2)
    print(f"{tried} tried, {len(found)} work", file=sys.stderr)
    for text in sorted(found, key=lambda text: (len(text), text)):
        print(text.replace("\n", "\u23ce"))


main()
