#!/usr/bin/env bash
# Bootstrap action of a cluster: fetches the worker, the model card and the model, and checks that
# they work on this machine.
#
#     bootstrap.sh s3://BUCKET/PREFIX MODEL [FOLDER]
#
# Only the primary node fetches anything. The driver runs there, and Spark ships the three files from
# it to each executor once. A node that managed scaling adds, or that replaces an interrupted spot
# instance, has nothing to fetch, so nothing can fail before it works.
set -euo pipefail

fail() {
    echo "bootstrap.sh: $*" >&2
    exit 1
}

[ $# -eq 2 ] || [ $# -eq 3 ] || fail "usage: bootstrap.sh s3://BUCKET/PREFIX MODEL [FOLDER]"
artifacts=${1%/} model=$2 folder=${3:-/opt/fruitvec}
[[ $artifacts == s3://?*/?* ]] || fail "$artifacts is no place of artifacts such as s3://my-results/emr"
[[ $model =~ ^[a-z0-9-]+$ ]] || fail "$model is no model's id: lower-case letters, digits and dashes"

# EMR describes the instance in this file.
instance=${FRUITVEC_INSTANCE_FILE:-/mnt/var/lib/info/instance.json}
[ -r "$instance" ] || fail "$instance is missing: is this a machine of EMR?"
if ! grep -Eq '"isMaster" *: *true' "$instance"; then
    echo "not the primary: nothing to fetch"
    exit 0
fi

mkdir -p "$folder" 2>/dev/null || sudo install -d -o "$(id -un)" "$folder"

fetch() {
    aws s3 cp --only-show-errors "$artifacts/$1" "$folder/$1" ||
        fail "can't fetch $artifacts/$1: put it there as infra/README.md says, and let the cluster's role read it"
}

fetch fruitvec
fetch "$model.toml"
file=$(sed -n '/^\[file\]/,/^\[/ s/^name *= *"\([^"/]*\)".*/\1/p' "$folder/$model.toml")
[ -n "$file" ] || fail "$artifacts/$model.toml is no model card: it names no file"
fetch "$file"

chmod 755 "$folder/fruitvec"
"$folder/fruitvec" --version ||
    fail "$artifacts/fruitvec does not start here ($(uname -m), glibc $(getconf GNU_LIBC_VERSION)): build it for Amazon Linux 2023 as infra/README.md says"
FRUITVEC_MODELS_DIR=$folder "$folder/fruitvec" models verify "$model" ||
    fail "$artifacts/$file is not the model that $model.toml describes"
