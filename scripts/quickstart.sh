#!/bin/bash
# From a bare Debian 12 to a trained and evaluated network, in minutes: installs packages (root or sudo), builds, renders
# characters of Debian's fonts to an image set, trains on it with two ranks, evaluates, prints a summary.
# Run again, it trains again into a fresh folder; nothing is built or rendered twice.
#   scripts/quickstart.sh [--set section.key=value ...]    arguments go to the training
#   RANKS=4 scripts/quickstart.sh                          another number of ranks
set -euo pipefail
cd "$(dirname "$0")/.."

readonly train=build/release/plsc-train
readonly data=data/characters
readonly ranks=${RANKS:-2}
run=runs/quickstart-$(date +%Y%m%d-%H%M%S)
readonly run

fail() {
  echo "quickstart: $*" >&2
  exit 1
}

# step TEXT COMMAND...: runs it and says how long it took; output goes to the terminal.
times=
step() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@" || fail "$name failed (see above). Fix the cause and run this again; finished steps are not repeated."
  times+=$(printf '  %-22s %4d s' "$name" $((SECONDS - start)))$'\n'
}

# value FILE KEY: a number or string of a JSON file of ours, which has one key a line; the outermost key of that name.
value() {
  awk -v key="\"$2\":" '
    { match($0, /^ */) }
    index($0, key) == RLENGTH + 1 && (line == "" || RLENGTH < depth) { depth = RLENGTH; line = $0 }
    END { sub(/^[^:]*: "?/, "", line); sub(/"?,?$/, "", line); print line }' "$1"
}

percent() { awk -v x="$1" 'BEGIN { printf "%.2f%%", 100 * x }'; }

# Every face of these packages but the copies with narrow Latin letters. WenQuanYi Zen Hei is a design of its own: it
# is kept for the test, so that the top-1 below is about a typeface that training never saw.
render() {
  "$train" data render --output "$data" --size 32 \
    --fonts /usr/share/fonts/truetype/{wqy,arphic,droid} /usr/share/fonts/opentype/unifont/unifont{,_jp}.otf \
    /usr/share/fonts/opentype/noto/Noto{Sans,Serif}CJK-{Regular,Bold}.ttc \
    --exclude "Mono" \
    --characters han --classes 5000 --min-faces 6 \
    --held-out-faces "WenQuanYi Zen Hei" --held-out-classes 500 --pairs 6000
}

launch() {
  local options=(-n "$ranks")
  # More ranks than cores is slow but works; mpirun wants to hear that it is meant.
  [ "$(nproc)" -ge "$ranks" ] || options+=(--oversubscribe)
  # Open MPI refuses to run as root unless told twice. In a container root is usually the only user.
  [ "$(id -u)" != 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  # After Ctrl-C ranks get a minute, not a second, to save a checkpoint.
  export OMPI_MCA_odls_base_sigkill_timeout=60
  mpirun "${options[@]}" "$train" --config configs/quickstart.yaml --set train.output="$run" "$@"
}

evaluate() {
  "$train" evaluate --checkpoint "$run" --list "$data/test.txt" --pairs "$data/pairs.txt" --json "$run/evaluation.json"
}

step "packages" scripts/install_packages.sh build fonts
step "build" scripts/build.sh release plsc-train
step "characters" render
step "training" launch "$@"
step "evaluation" evaluate

summary=$run/summary.json
cat <<TEXT

== done
accuracy
  top-1, unseen typeface        $(percent "$(value "$run/evaluation.json" top1)")  of $(wc -l <"$data/test.txt") images, $(value "$run/evaluation.json" classes) classes
  verification, unseen classes  $(percent "$(value "$run/evaluation.json" accuracy)")  of $(wc -l <"$data/pairs.txt") pairs of characters that training never saw
speed                           $(printf '%.0f' "$(value "$summary" images_per_second)") images/s with $ranks ranks
training time by phase (rank 0, seconds)
$(sed -nE '/"phases"/,/}/ s/^ *"([a-z]+)": ([0-9.e+-]+),?$/\1 \2/p' "$summary" | awk '{printf "  %-16s %6.1f\n", $1, $2}')
time of each step
${times%$'\n'}
files
  checkpoint       $(value "$summary" checkpoint)
  TensorBoard log  $(value "$summary" tensorboard)   (tensorboard --logdir $run)
  configuration    $(value "$summary" config)
  metrics          $(value "$summary" metrics_log)
try next
  RANKS=4 scripts/quickstart.sh --set optim.lr=0.05
  $train --config configs/quickstart.yaml --print-config      all keys with their meaning
  mpirun -n $ranks $train --config YOUR.yaml                  your own images: data.list or data.folder
TEXT
