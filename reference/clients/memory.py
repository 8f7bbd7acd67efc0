"""Whether a process's memory stays flat."""

import statistics
import time

# Growth that is still called flat.
TOLERANCE = 0.05
# The first two minutes are for filling caches and the allocator's arenas.
WARM_UP_SECONDS = 120
# Of a run that is not much longer, the first half; what follows can show a gross leak only.
SHORT_TOLERANCE = 0.25
WINDOWS = 10


class Memory:
    """Samples of a process's resident memory, twice a second."""

    def __init__(self, read, seconds):
        self.read = read
        self.warm_up = min(WARM_UP_SECONDS, seconds / 2)
        self.tolerance = TOLERANCE if seconds >= 2 * WARM_UP_SECONDS else SHORT_TOLERANCE
        self.samples = []

    def watch(self, end):
        begin = time.monotonic()
        while time.monotonic() < end:
            size = self.read()
            if size is not None and time.monotonic() - begin >= self.warm_up:
                self.samples.append(size)
            time.sleep(0.5)

    def report(self):
        """Prints the means of windows of equal length after the warm-up; whether one is above the first by more than the tolerance."""
        length = len(self.samples) // WINDOWS
        if not length:
            print("memory: not measured here")
            return False
        means = [statistics.mean(self.samples[i * length : (i + 1) * length]) for i in range(WINDOWS)]
        growth = max(means) / means[0] - 1
        print(f"memory, MiB, after {self.warm_up:.0f} s: {' '.join(f'{mean / 2**20:.0f}' for mean in means)}")
        print(
            f"memory: {growth:+.1%} at most, {'flat' if growth <= self.tolerance else 'GROWN'} (at most {self.tolerance:.0%})"
        )
        return growth > self.tolerance
