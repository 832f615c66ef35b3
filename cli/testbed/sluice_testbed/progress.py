"""One line that says how far the run is: percent, seconds, packets a second, what is left."""

import sys
import time

TERMINAL_SECONDS = 0.5
LOG_SECONDS = 10.0


def left_text(seconds):
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


class Progress:
    def __init__(self, duration_ns, quiet):
        self.duration = duration_ns * 1e-9
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.interval = TERMINAL_SECONDS if self.terminal else LOG_SECONDS
        self.shown = time.monotonic()
        self.packets = 0
        self.packets_at = 0.0

    def due(self):
        return not self.quiet and time.monotonic() - self.shown >= self.interval

    def show(self, now_ns, packets):
        """@param packets What the hosts received so far."""
        if self.quiet:
            return
        self.shown = time.monotonic()
        now = max(now_ns * 1e-9, 1e-9)
        rate = max(0, packets - self.packets) / max(now - self.packets_at, 1e-9)
        self.packets, self.packets_at = packets, now
        part = min(1.0, now / self.duration)
        line = f"{100 * part:3.0f} %  {now:.1f} s of {self.duration:g} s, {rate:,.0f} packets/s"
        if part < 1:
            line += f", {left_text(self.duration - now)} left"
        # Spaces clear what a longer line left behind.
        sys.stderr.write(f"\r{line:<79}" if self.terminal else line + "\n")
        sys.stderr.flush()

    def end(self):
        if self.terminal and not self.quiet:
            sys.stderr.write("\n")
