"""A server on this machine that stands in for the transport to Simbad and VSX: answers as those give them."""

from __future__ import annotations

import contextlib
import html
import json
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SESAME = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Sesame><Target option="S"><name>{name}</name>
<Resolver name="S=Simbad (CDS, via client/server)"><INFO>from cache</INFO><otype>RRLyr</otype>
<jpos>10:53:02.418 -49:54:23.0</jpos><jradeg>163.260075</jradeg><jdedeg>-49.906389</jdedeg>
<refPos>2020yCat.1350....0G</refPos><errRAmas>0.015</errRAmas><errDEmas>0.014</errDEmas>
<pm><v>12.3</v><pmRA>-12.0</pmRA><epmRA>0.02</epmRA><pmDE>3.5</pmDE><epmDE>0.02</epmDE></pm>
<oname>V* AF Vel</oname><alias>HIP  53213</alias><alias>Gaia DR3 5363210428441012992</alias>
</Resolver></Target></Sesame>"""
NOTHING = """<?xml version="1.0"?><Sesame><Target option="S"><name>{name}</name>
<Resolver name="S=Simbad (CDS, via client/server)"><INFO>Zero (0) answers</INFO></Resolver></Target></Sesame>"""
VSX = {"Name": "T CrB", "AUID": "000-BBW-825", "RA2000": "239.87567", "Declination2000": "25.92017",
       "VariabilityType": "NR+ELL", "Period": "227.5528", "Epoch": "2455828.9", "MaxMag": "2.0 V",
       "MinMag": "10.8 V", "Constellation": "CrB"}  # fmt: skip


class Answers(BaseHTTPRequestHandler):
    """Knows AF Vel as Simbad does and T CrB as VSX does; /broken gives what is no answer, /500 an error."""

    asked: list[str]

    def do_GET(self) -> None:
        """Answer."""
        path = urllib.parse.urlsplit(self.path)
        name = urllib.parse.unquote(path.query)
        self.server.asked.append(f"{path.path} {name}")  # type: ignore[attr-defined]
        if path.path == "/500":
            self.send_error(500)
            return
        bodies = {
            "/simbad": (SESAME if "af vel" in name.lower() else NOTHING).format(name=html.escape(name)),
            "/vsx": json.dumps({"VSXObject": VSX if name.lower() == "t crb" else []}),
        }
        body = bodies.get(path.path, "<html>Please log in").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def service() -> Iterator[tuple[str, list[str]]]:
    """Run the server; give its address and the list of what it was asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.asked  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
