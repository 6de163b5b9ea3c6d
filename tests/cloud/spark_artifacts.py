"""What a cluster is given: worker, card and model in S3, and bootstrap.sh, which fetches them with the real `aws` command line.

The model is the bundled one under a name that the program does not know: whoever finds it has found the card and the file that were
fetched, and not those in the program.
"""

import json
import subprocess
from pathlib import Path

import servers
from runtime import binary

ROOT = Path(__file__).resolve().parents[2]
BOOTSTRAP = ROOT / "infra/emr/bootstrap.sh"
PROGRAM = "fruitvec"
BUNDLED = "fruit-mobilenetv2-035-128"
MODEL = "fruit-shipped"
PATIENCE = 120


class Artifacts:
    """What is uploaded to the results bucket of an account, and machines that fetch it under the role of the template."""

    def __init__(self, account, folder):
        self._account = account
        self._folder = folder
        self.files = files(folder)
        self.put("emr", self.files)

    def put(self, prefix, files):
        """Puts artifacts below a prefix."""
        with self._account.open():
            s3 = servers.client("s3", self._account.server)
            for name, content in files.items():
                s3.put_object(Bucket=self._account.results, Key=f"{prefix}/{name}", Body=content)

    def fetched(self, name, prefix="emr", *, model=MODEL, primary=True):
        """What bootstrap.sh did on a machine of that name, and the folder that it was to fill."""
        home = self._folder / name
        home.mkdir(exist_ok=True)
        # What EMR tells a machine of itself.
        instance = home / "instance.json"
        instance.write_text(json.dumps({"instanceGroupId": "ig-1", "isMaster": primary, "isRunningNameNode": primary}, indent=2))
        done = subprocess.run(
            [BOOTSTRAP, f"s3://{self._account.results}/{prefix}", model, home / "worker"],
            env={
                "PATH": f"{Path(servers.python('awscli')).parent}:/usr/bin:/bin",
                "HOME": str(home),
                "FRUITVEC_INSTANCE_FILE": str(instance),
                **servers.environment(self._account.server, **self._account.credentials["job"]),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done, home / "worker"


def files(folder):
    """The artifacts by their names."""
    program = folder / PROGRAM
    # Without what a debugger wants: it is most of a program that is built for tests.
    subprocess.run(["strip", "-o", program, binary(PROGRAM)], check=True)
    card = (ROOT / "models" / f"{BUNDLED}.toml").read_text().replace(BUNDLED, MODEL)
    model = (ROOT / "models" / f"{BUNDLED}.onnx").read_bytes()
    return {PROGRAM: program.read_bytes(), f"{MODEL}.toml": card.encode(), f"{MODEL}.onnx": model}
