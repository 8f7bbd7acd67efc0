"""`qvl serve` as a child process, and what `qvl run` answers alone."""

import contextlib
import json
import re
import signal
import subprocess
import time

START_SECONDS = 120
STOP_SECONDS = 60


class Server:
    """A running server: `url` is its address, `process` the process, `log` the file that it writes to."""

    def __init__(self, process, log):
        self.process = process
        self.log = log
        self.url = self._wait_for_url()

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _wait_for_url(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r"http://[0-9.]+:\d+", self.output())
            if found:
                return found.group()
            time.sleep(0.1)
        self.process.kill()
        raise RuntimeError(f"the server did not start:\n{self.output()}")

    def stop(self):
        """Asks the server to finish, and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def memory(self):
        """Resident memory in bytes, without files' maps, which the kernel drops as it likes; None where there is no /proc."""
        with contextlib.suppress(OSError), open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return 1024 * sum(map(int, re.findall(r"^Rss(?:Anon|Shmem):\s+(\d+) kB", file.read(), re.MULTILINE)))
        return None


@contextlib.contextmanager
def serving(binary, log, *options):
    """A server on a free port of the loopback interface, for as long as the block runs."""
    command = [binary, "serve", "--host", "127.0.0.1", "--port", "0", *options]
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield Server(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def answer_alone(binary, prompt, images=(), *options):
    """What `qvl run --json` says: greedy, with nothing beside it. Options can name a package."""
    command = [binary, "run", *options, "--no-sample", "--json", "--yes", "--prompt", prompt]
    for image in images:
        command += ["--image", image]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)
