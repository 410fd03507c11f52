"""What `monitor` takes: one row a parameter."""

from __future__ import annotations

from tinytrain.option import FILE, GENERAL, INTEGER, NUMBER, TEXT, Option

MONITOR = (
    Option("serial port of the board, such as /dev/ttyACM0", GENERAL, "port", TEXT, metavar="PORT",
           positional=True, required=True, see="link.md"),
    Option("seconds from one reading to the next", GENERAL, "interval", NUMBER, 1.0, low=0.05,
           high=3600, metavar="S"),
    Option("readings to take; without it they go on until Ctrl-C", GENERAL, "readings", INTEGER,
           low=1, high=10**9, metavar="N"),
    Option("page that shows the readings, or teleplot for datagrams to Teleplot on this machine",
           GENERAL, "plot", FILE, metavar="PAGE.html"),
    Option("file that gets a line for each reading", GENERAL, "csv", FILE, metavar="FILE.csv"),
)  # fmt: skip
