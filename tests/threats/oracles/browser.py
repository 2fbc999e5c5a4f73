#!/usr/bin/env python3
"""Markup and script that runs in a page, by Chromium: the page `browser.html` tries texts in frames of its own and tells what
called `alert`, by itself or when it was clicked, focused or pointed at. Needs `chromium`; serves on a port of loopback.

    browser.py CONTEXT SECONDS"""

import http.server
import json
import os
import subprocess
import tempfile
import threading

from search import arguments, show

CONTEXTS = {
    "element": ("<p>", "</p>"),
    "double": ('<input value="', '">'),
    "single": ("<input value='", "'>"),
    "bare": ("<input value=", ">"),
    "script": ("<script>var x='", "';</script>"),
    "link": ('<a href="', '">x</a>'),
}
PIECES = (
    "< < > / \" ' ` = <script <svg <img <math <details <body <input <iframe <style <video <audio <a <form <button <object <embed "
    "<template <textarea <title <select <base <meta <xss <animate <set <use <marquee <table <link </script </style </title "
    "</textarea <!-- --> --!> <![CDATA[ ]]> <! <? src src=x x onerror onerror= onload= onfocus= onclick= ontoggle= onmouseover= "
    "onbegin= onpointerover= onstart= oncut= onblur= autofocus tabindex=1 open href= href xlink:href= srcdoc= action= "
    "formaction= data= style= id=x contenteditable attributeName=href values= to= alert(1) alert(1) alert (1) `1` javascript: "
    "JaVaScRiPt: java\\tscript: data:text/html, &lt; &#x3c; &#60; &Tab; &colon; &lpar; &rpar; &NewLine; &quot; &#39; \\x3c "
    "\\u0061lert(1) ; // /* */ - + , { } ( ) [ ] ! ~ ^ | & ? : % \\ top self window [`alert`] . eval 1 0 import( x= # url( svg> "
    "math> controls <source <noscript <frameset http-equiv=refresh setTimeout( Function( <p <b <image"
).split() + [" "] * 3 + ["\t", "\n", "\f", "throw ", "in ", "new ", 'content="0;', "\u00a0", "\u2028"]
SEEDS = {
    "element": ["<svg| |onload=|alert(1)|>", "<img| |src=x| |onerror=|alert(1)|>", "<script|>|alert(1)|</script|>"],
    "double": ['"| |autofocus| |onfocus=|alert(1)| |x', '"|>|<svg| |onload=|alert(1)|>'],
    "single": ["'| |autofocus| |onfocus=|alert(1)| |x", "'|>|<svg| |onload=|alert(1)|>"],
    "bare": ["x| |autofocus| |onfocus=|alert(1)"],
    "script": ["'|-|alert(1)|-|'", "'|;|alert(1)|//"],
    "link": ["javascript:|alert(1)"],
}


def main():
    _, context, seconds = arguments(__doc__, CONTEXTS)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "browser.html"), "rb") as file:
        page = file.read()
    task = {
        "around": CONTEXTS[context],
        "pieces": PIECES,
        "seeds": [seed.split("|") for seed in SEEDS[context]],
        "seconds": seconds,
    }
    told, done = {}, threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, body, kind):
            self.send_response(200)
            self.send_header("content-type", kind)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path == "/task":
                self.answer(json.dumps(task).encode(), "application/json")
            else:
                self.answer(page if self.path == "/" else b"", "text/html")

        def do_POST(self):
            told.update(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.answer(b"", "text/plain")
            done.set()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
            + [f"http://127.0.0.1:{server.server_port}/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        finished = done.wait(seconds + 60)
        browser.terminate()
        browser.wait()
    if not finished:
        raise SystemExit("the browser told nothing")
    show({text for text in told["found"] if "\0" not in text and "\r" not in text}, told["tried"])


main()
