"""The photos that benchmarks embed."""

import shutil

from measuring.environments import SHARED, announce, run_checked

# A prime, so that steps of this size visit every photo once unless their number is a multiple of it.
STRIDE = 7919
# At most about this number of large photos is used.
LARGE = 64


class Photos:
    """Photos of the shared data sets, or painted ones if these are not on this machine."""

    def __init__(self, folder, worker, count):
        self.folder, self.phone = folder, None
        data = SHARED / "data"
        if data.is_dir():
            self.small_kind = "Fruits-360, 100×100"
            self.root = data / "fruits360/Test"
            small = sorted(self.root.glob("*/*.jpg"))
            large = sorted((data / "grocery/train").glob("*/*.jpg"))
            self.large = large[:: max(1, len(large) // LARGE)]
        else:
            announce(f"{data} is missing, so the photos are painted")
            self.small_kind = "painted, 100×100"
            self.root = folder / "painted"
            run_checked([worker, "paint", self.root])
            small, self.large = sorted(self.root.glob("*/*.jpg")), []
        # The stride mixes the labels and gives caches and read-ahead no order to exploit.
        self.small = [small[number * STRIDE % len(small)] for number in range(count)]

    def create_phone_photo(self, reference):
        """Writes a photo with the resolution of a phone's."""
        self.phone = self.folder / "phone.jpg"
        run_checked([*reference, "phone", (self.large or self.small)[0], self.phone])

    def list_file(self, photos):
        """Writes a list of photos for a worker and returns its path.

        A photo may come twice but its key must not, so the list names numbered copies.
        """
        file = self.folder / f"{abs(hash(tuple(photos)))}.txt"
        copies = self.folder / file.stem
        copies.mkdir(exist_ok=True)
        paths = []
        for number, photo in enumerate(photos):
            paths.append(copies / photo.parent.name / f"{number}.jpg")
            paths[-1].parent.mkdir(exist_ok=True)
            shutil.copyfile(photo, paths[-1])
        file.write_text("".join(f"{path}\n" for path in paths))
        return str(file)
