"""Job control: types at an interactive bash on a terminal of its own, and prints what stands there in the end.

usage: jobs.py COMMAND...   (the command runs bash)
"""
import fcntl
import os
import pty
import re
import struct
import sys
import termios
import time

PROMPT = b"ready> "
LIMIT = time.monotonic() + 120


def read_until(terminal, end):
    """What the terminal shows up to some text."""
    shown = b""
    while not shown.endswith(end):
        if time.monotonic() > LIMIT:
            sys.exit(f"not in time: {end} after {shown}")
        shown += os.read(terminal, 1)
    return shown


def wait_for_foreground(terminal, name):
    """Waits until the program has the terminal."""
    while True:
        try:
            with open(f"/proc/{os.tcgetpgrp(terminal)}/comm") as comm:
                if comm.read().strip() == name:
                    return
        except OSError:
            pass
        if time.monotonic() > LIMIT:
            sys.exit(f"{name} is not in the foreground")
        time.sleep(0.005)


def main(command):
    shell, terminal = pty.fork()
    if shell == 0:
        os.environ.update(PS1=PROMPT.decode(), TERM="dumb", PS2="")
        os.execvp(command[0], command + ["--norc", "--noprofile", "--noediting", "-i"])
    transcript = [read_until(terminal, PROMPT)]

    def type_line(text, until=PROMPT):
        os.write(terminal, text.encode() + b"\n")
        transcript.append(read_until(terminal, until))

    def key(byte):
        os.write(terminal, byte)
        transcript.append(read_until(terminal, PROMPT))

    def start(text, name):
        os.write(terminal, text.encode() + b"\n")
        transcript.append(read_until(terminal, text.encode() + b"\r\n"))
        wait_for_foreground(terminal, name)

    start("sleep 1000", "sleep")
    key(b"\x1a")
    type_line("echo stopped: $?; jobs")
    type_line("bg; jobs -r")
    os.write(terminal, b"fg\n")
    transcript.append(read_until(terminal, b"sleep 1000\r\n"))
    wait_for_foreground(terminal, "sleep")
    key(b"\x03")
    type_line("echo interrupted: $?; jobs")
    start("cat", "cat")
    type_line("typed", b"typed\r\ntyped\r\n")
    key(b"\x04")
    type_line("ulimit -c 0")
    start("sleep 1000", "sleep")
    key(b"\x1c")
    type_line("echo quit: $?")
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    type_line("stty size; tty -s; echo $?")
    type_line("set +m; sleep 1000 & kill $!; wait $!; echo terminated: $?", b": 143\r\n" + PROMPT)
    type_line("trap 'echo hung up; exit 3' HUP; kill -HUP $$", b"exit 3\' HUP; kill -HUP $$\r\nhung up\r\n")
    text = b"".join(transcript).decode().replace("\r\n", "\n")
    # Numbers of processes differ.
    print(re.sub(r"^\[1\] \d+$", "[1] pid", text, flags=re.MULTILINE))
    print("ended with", os.waitstatus_to_exitcode(os.waitpid(shell, 0)[1]))


main(sys.argv[1:])
