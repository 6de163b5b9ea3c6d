"""Processes and sockets of this machine, read from `/proc`."""

import contextlib
import glob
import os
import signal
import socket
import time
from pathlib import Path


def all_processes():
    """Returns the ids of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat_fields(process):
    """Returns the fields of `/proc/ID/stat` after the process's name, or nothing if it has ended.

    The name comes second, in parentheses, and may itself contain spaces and parentheses.
    """
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return None


def state_of(process):
    """Returns the state letter of a process: Z if it is a zombie or no longer exists."""
    fields = stat_fields(process)
    return fields[0] if fields else "Z"


def parent_of(process):
    """Returns the id of the parent process, or nothing if the process has ended."""
    fields = stat_fields(process)
    return int(fields[1]) if fields else None


def group_of(process):
    """Returns the process group, or nothing if the process has ended."""
    fields = stat_fields(process)
    return int(fields[2]) if fields else None


def session_members(session):
    """Returns the ids of all processes of a session."""
    found = ((process, stat_fields(process)) for process in all_processes())
    return [process for process, fields in found if fields and int(fields[3]) == session]


def kill_session(session):
    """Kills every process of a session, including those that start while it runs."""
    while alive := [process for process in session_members(session) if state_of(process) != "Z"]:
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.01)


def ancestors_of(process):
    """Yields the parent of a process, its grandparent and so on."""
    while process > 1:
        process = parent_of(process)
        if process is None:
            return
        yield process


def command_of(process):
    """Returns the command line of a process as a list, empty if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def free_port():
    """Returns a port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def socket_inodes(process):
    """Yields the inodes of a process's sockets."""
    for file in glob.glob(f"/proc/{process}/fd/*"):
        with contextlib.suppress(OSError):
            target = os.readlink(file)
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]


def listening_inodes(port):
    """Returns the inodes of the sockets that listen on a port.

    A line of the table has the local address in its second field, the state in its fourth (0A means
    listening) and the inode in its tenth.
    """
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
                    found.add(fields[9])
    return found
