#!/usr/bin/env python3
"""Serves the revocation feed from a Redis stream. Example: enough to run, small enough to read.

usage: revocation-feed.py REDIS_PORT LISTEN_PORT [STREAM]     (both on 127.0.0.1; the stream is `revocations` unless named)
To revoke:   XADD revocations * entry '{"iss":"https://id.example.com","jti":"abc","exp":1767225600}'
To tidy up:  XTRIM revocations MINID <milliseconds of the oldest entry that may still matter>-0
"""
import http.server, json, socket, sys, urllib.parse

PAGE = 2000  # entries of one answer: about 200 KB; the filter takes up to 1 MiB


def redis(*words):
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as s, s.makefile("rb") as f:
        s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
        def read():
            kind, rest = (line := f.readline())[:1], line[1:-2]
            if kind == b"$":
                return f.read(int(rest) + 2)[:-2].decode() if int(rest) >= 0 else None
            if kind == b"*":
                return [read() for _ in range(int(rest))]
            if kind in (b"-", b""):
                raise OSError(rest)
            return rest.decode()
        return read()


class Feed(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        stream = sys.argv[3] if len(sys.argv) > 3 else "revocations"
        after = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("after", ["0-0"])[0]
        try:
            newest = redis("XREVRANGE", stream, "+", "-", "COUNT", "1")
            order = lambda cursor: tuple(int(part) for part in cursor.split("-"))
            # Nothing known yet, or a cursor from before Redis lost its data: everything, from the start.
            reset = after == "0-0" or order(after) > order(newest[0][0] if newest else "0-0")
            found = redis("XRANGE", stream, "(0-0" if reset else "(" + after, "+", "COUNT", str(PAGE))
            page = {"version": 1, "reset": reset, "more": len(found) == PAGE, "cursor": found[-1][0] if found else "0-0" if reset else after,
                    "entries": [json.loads(fields[1]) for _, fields in found]}
            status, body = 200, json.dumps(page, separators=(",", ":")).encode()
        except (OSError, ValueError):
            status, body = 503, b"{}"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Feed).serve_forever()
