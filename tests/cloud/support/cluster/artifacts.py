"""The artifacts of a cluster: the worker, model card and model in S3.

bootstrap.sh fetches them with the real `aws` command line.

The model is the bundled one under a name that the program does not know. Finding it proves that the program
used the fetched card and file, and not the ones it contains.
"""

import json
import subprocess
from pathlib import Path

from support import servers
from support.environments import python_of
from support.lambda_runtime import binary
from support.paths import MODELS, ROOT

BOOTSTRAP = ROOT / "infra/emr/bootstrap.sh"
PROGRAM = "fruitvec"
BUNDLED_MODEL = "fruit-mobilenetv2-035-128"
MODEL = "fruit-shipped"
TIMEOUT = 120


class ClusterArtifacts:
    """Artifacts in an account's results bucket, and machines that fetch them with the template's role."""

    def __init__(self, account, folder):
        self._account = account
        self._folder = folder
        self.files = artifact_files(folder)
        self.put("emr", self.files)

    def put(self, prefix, files):
        """Uploads artifacts under a prefix."""
        with self._account.open():
            s3 = servers.client("s3", self._account.server)
            for name, content in files.items():
                s3.put_object(Bucket=self._account.results, Key=f"{prefix}/{name}", Body=content)

    def bootstrap(self, name, prefix="emr", *, model=MODEL, primary=True):
        """Runs bootstrap.sh as on a machine of the cluster.

        Returns the finished process and the folder that the script should have filled.
        """
        home = self._folder / name
        home.mkdir(exist_ok=True)
        # EMR describes a machine to itself in this file.
        instance = home / "instance.json"
        description = {"instanceGroupId": "ig-1", "isMaster": primary, "isRunningNameNode": primary}
        instance.write_text(json.dumps(description, indent=2))
        done = subprocess.run(
            [BOOTSTRAP, f"s3://{self._account.results}/{prefix}", model, home / "worker"],
            env={
                "PATH": f"{Path(python_of('awscli')).parent}:/usr/bin:/bin",
                "HOME": str(home),
                "FRUITVEC_INSTANCE_FILE": str(instance),
                **servers.environment(self._account.server, **self._account.credentials["job"]),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        return done, home / "worker"


def artifact_files(folder):
    """Returns the content of the artifacts by file name."""
    program = folder / PROGRAM
    # Debug symbols are most of a program that is built for tests.
    subprocess.run(["strip", "-o", program, binary(PROGRAM)], check=True)
    card = (MODELS / f"{BUNDLED_MODEL}.toml").read_text().replace(BUNDLED_MODEL, MODEL)
    model = (MODELS / f"{BUNDLED_MODEL}.onnx").read_bytes()
    return {PROGRAM: program.read_bytes(), f"{MODEL}.toml": card.encode(), f"{MODEL}.onnx": model}
