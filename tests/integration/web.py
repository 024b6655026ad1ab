"""A web server for the fetcher's tests: web.py PORT, files of the folder it is started in, logged as python3 -m http.server does.

A path below /held/ is a file that comes when FILE.go exists: until then the answer's first byte is all that is sent.
"""
import http.server
import os
import sys
import time


class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if not self.path.startswith("/held/"):
            super().do_GET()
            return
        name = self.path[1:]
        self.send_response(200)
        self.send_header("Content-Length", str(os.path.getsize(name)))
        self.end_headers()
        with open(name, "rb") as f:
            self.wfile.write(f.read(1))
            while not os.path.exists(name + ".go"):
                time.sleep(0.02)
            self.wfile.write(f.read())


http.server.ThreadingHTTPServer.daemon_threads = True
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
