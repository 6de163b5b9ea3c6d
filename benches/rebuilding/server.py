"""`fruitvec serve`, the S3 server of the rebuilds."""

import signal
import subprocess
import threading
import time

from measuring.processes import CORES, cpu_clock, pinned


class S3Server:
    """The embedded S3 in a separate process, with its data in a folder, on the cores of its client."""

    def __init__(self, program, data, cores):
        command = [program, "serve", "--data", str(data), "--port", "0"]
        with pinned(CORES[:cores]):
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
        line = next((line for line in self.process.stdout if line.startswith("S3 on ")), None)
        assert line, f"{command} did not start"
        # A full pipe would block the server.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()
        self.variables = {
            "AWS_ENDPOINT_URL": line.split()[2].rstrip(","),
            "AWS_REGION": "eu-west-3",
            "AWS_SHARED_CREDENTIALS_FILE": str(data / ".fruitvec/credentials"),
        }

    def cpu_seconds(self):
        return time.clock_gettime(cpu_clock(self.process))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
