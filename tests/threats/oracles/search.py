"""Finds texts that work against something real, by trying: pieces at random, and what worked with a piece more, less or other.

Each program here names what is real (a database, a path's engine, a shell, a browser), and prints what worked, without the
pieces that it does not need, one a line; a line's end in it is written as U+23CE. Then, to see what the guard lets pass:

    tests/threats/oracles/sql.py sqlite string 60 > FILE
    PORTCULLIS_ORACLE=FILE cargo test --test threats oracles -- --nocapture
"""

import random
import sys
import time

PIECES_MAX = 8
KEPT_MAX = 4000


def mutated(parts, pieces):
    parts = list(parts)
    for _ in range(random.randint(1, 3)):
        at, how = random.randrange(len(parts) + 1), random.random()
        if how < 0.4:
            parts[at : at + 1] = [random.choice(pieces)]
        elif how < 0.7:
            parts.insert(at, random.choice(pieces))
        else:
            del parts[at : at + 1]
    return parts


def reduced(parts, works):
    index = 0
    while index < len(parts):
        fewer = parts[:index] + parts[index + 1 :]
        if works("".join(fewer)):
            parts, index = fewer, 0
        else:
            index += 1
    return parts


def search(works, pieces, fronts, seeds, seconds):
    """Tries for some seconds; `fronts` are lists of pieces that a text begins with, `seeds` texts to begin with, as lists."""
    random.seed(1)
    found, kept, tried = set(), list(seeds), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tried += 1
        if kept and random.random() < 0.5:
            parts = mutated(random.choice(kept), pieces)
        else:
            parts = random.choice(fronts) + [random.choice(pieces) for _ in range(random.randint(1, PIECES_MAX))]
        text = "".join(parts)
        if text in found or not works(text):
            continue
        parts = reduced(parts, works)
        text = "".join(parts)
        if text not in found:
            found.add(text)
            kept.append(parts)
            if len(kept) > KEPT_MAX:
                kept = random.sample(kept, KEPT_MAX // 2)
    show(found, tried)


def show(found, tried):
    print(f"{tried} tried, {len(found)} work", file=sys.stderr)
    for text in sorted(found, key=lambda text: (len(text), text)):
        print(text.replace("\n", "\u23ce"))


def arguments(doc, contexts):
    """What the command line names: all but the last two words, the context, and the seconds."""
    *first, context, seconds = sys.argv[1:] if len(sys.argv) > 2 else ["", "", ""]
    if context not in contexts or not seconds.isdigit():
        sys.exit(f"{doc}\nContexts: {' '.join(contexts)}")
    return first, context, int(seconds)
