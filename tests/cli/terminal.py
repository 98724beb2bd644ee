"""Types answers at a terminal: terminal.py ANSWER,ANSWER… COMMAND [ARGUMENT…]

Each answer is typed when a prompt, a text that ends with ": ", stands there and the terminal has
stopped to show what is typed. What it shows is printed, and the exit code is the command's.
"""

import os
import pty
import sys
import termios
import time


def wait_until_hidden(terminal):
    for _ in range(1000):
        if not termios.tcgetattr(terminal)[3] & termios.ECHO:
            return
        time.sleep(0.01)


answers = sys.argv[1].split(",")
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
shown = b""
while True:
    try:
        more = os.read(terminal, 4096)
    except OSError:
        break
    if not more:
        break
    shown += more
    if shown.endswith(b": ") and answers:
        wait_until_hidden(terminal)
        os.write(terminal, answers.pop(0).encode().replace(b"^C", b"\x03") + b"\n")
status = os.waitpid(pid, 0)[1]
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
