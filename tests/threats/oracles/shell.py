#!/usr/bin/env python3
"""Shell that runs another program than the one that it is an argument of, by dash. The programs are stubs in a directory of
their own, which is all that the shell finds, and it works in another that is removed in the end.

    shell.py CONTEXT SECONDS"""

import os
import subprocess
import tempfile

from search import arguments, search

CONTEXTS = {"bare": ("ping ", ""), "single": ("ping '", "'"), "double": ('ping "', '"'), "inner": ("ping ", " && true")}
PROGRAMS = ["id", "whoami", "curl", "cat", "ls", "wget", "nc", "python3", "bash", "sleep", "uname"]
PIECES = (
    "; & && | || ` $( ) ( { } $ ${ $IFS ${IFS} $IFS$9 \" ' \\ < > >> << <<< # ! ~ * ? [i] = x 1 a . / - -- i d -c -la "
    "/etc/passwd http://evil.example/x x=1 ${x} $x @ %0a if then fi case esac in do done for while until true false eval exec "
    "command env sh [ ] : time $(id) `id` i\"d\" w'h'oami who$@ami 2>&1 >/dev/null 127.0.0.1 ^ % + ,"
).split() + PROGRAMS + [" "] * 3 + ["\t", "\n", "\r\n", "{ ", "; }", ". ", "\\\n", "\x0b", "\x0c"]


def main():
    _, context, seconds = arguments(__doc__, CONTEXTS)
    before, behind = CONTEXTS[context]
    with tempfile.TemporaryDirectory() as place:
        programs, work = os.path.join(place, "bin"), os.path.join(place, "work")
        os.mkdir(programs)
        os.mkdir(work)
        for name in [*PROGRAMS, "ping"]:
            path = os.path.join(programs, name)
            with open(path, "w") as file:
                file.write("#!/bin/dash\necho ran >&2\n" if name != "ping" else "#!/bin/dash\n")
            os.chmod(path, 0o755)

        def works(text):
            try:
                done = subprocess.run(
                    ["/bin/dash", "-c", before + text + behind],
                    env={"PATH": programs},
                    cwd=work,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=1,
                )
            except (subprocess.TimeoutExpired, ValueError):
                return False
            return b"ran\n" in done.stderr

        quote = {"single": ["'"], "double": ['"']}.get(context, [])
        search(works, PIECES, [quote, []], [[*quote, ";", "id"]], seconds)


main()
