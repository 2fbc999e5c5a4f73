#!/usr/bin/env python3
"""XPath that finds a user without the password, by libxml2 (needs lxml).

    xpath.py CONTEXT SECONDS"""

from lxml import etree

from search import arguments, search

DOCUMENT = etree.fromstring("<r><u><n>admin</n><p>p1</p><id>5</id></u><u><n>bob</n><p>p2</p><id>6</id></u><c id='1'/></r>")
CONTEXTS = {"single": ("//u[n='", "' and p='zz']"), "double": ('//u[n="', '" and p="zz"]')}
PIECES = (
    "' \" or and = != 1 0 x ( ) [ ] | / // * . .. @ n p u id text() node() not( true() false() count( contains( position() "
    "last() string-length( name() string( number( boolean( starts-with( < > <= + - div mod , :: self:: parent:: ancestor:: "
    "child:: descendant:: //* comment() translate( concat( substring( \"\" '' following:: $x current() sum( //u self::*"
).split() + [" "] * 3 + ["\t", "\n"]


def main():
    _, context, seconds = arguments(__doc__, CONTEXTS)
    before, behind = CONTEXTS[context]
    quote = '"' if context == "double" else "'"

    def works(text):
        try:
            return bool(DOCUMENT.xpath(before + text + behind))
        except (etree.XPathError, ValueError, TypeError):
            return False

    search(works, PIECES, [[quote], ["x", quote]], [[quote, " ", "or", " ", "1", "=", "1", " ", "or", " ", quote]], seconds)


main()
