#!/bin/sh
# make.sh NAME: makes NAME.bundle and NAME.json beside this script, with the
# velocity that is found first: a repository in which all kinds of ends are
# recorded, and what velocity builds --json says of it. Bundles of earlier
# versions are never made anew: that they can still be read is what they are for.
set -eu
out=$(cd "$(dirname "$0")" && pwd)/$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME="$work/home" GIT_CONFIG_NOSYSTEM=1
mkdir "$HOME"
git config --global user.name Ada
git config --global user.email ada@example.com
git config --global init.defaultBranch main
cd "$work"
git init -q --bare repo.git
git clone -q repo.git clone 2>/dev/null
velocity hook install --executor host repo.git
cd clone
mkdir -p .velocityci/blueprints .velocityci/pipelines

cat >.velocityci/pipelines/default.yml <<'Y'
stages:
- name: test
  blueprints: [unit, {name: flaky, ignoreErrors: true}]
- name: deploy
  blueprints: [deploy]
Y
cat >.velocityci/blueprints/unit.yml <<'Y'
parameters: [{name: level, default: fast}]
steps:
- {type: run, description: say, command: 'printf "%s\n" "${level} ünïcode"'}
- {type: run, script: 'i=0; while [ $i -lt 200 ]; do echo "line $i"; i=$((i+1)); done'}
Y
echo 'steps: [{type: run, script: "exit 3"}]' >.velocityci/blueprints/flaky.yml
echo 'steps: [{type: run, script: "echo deployed >&2"}]' >.velocityci/blueprints/deploy.yml
cat >.velocityci/blueprints/slow.yml <<'Y'
steps:
- {type: run, script: 'echo going; case "${VELOCITY_ATTEMPT%@*}" in */1) exec sleep 61234;; esac'}
Y
git add . && git commit -qm 'A build that succeeds' && git push -q origin main

echo 'steps: [{type: run, script: "echo out; echo err >&2; exit 2"}]' >.velocityci/blueprints/deploy.yml
git commit -qam 'One that fails' && git push -q origin main
echo 'steps: [{type: nonsense}]' >.velocityci/blueprints/deploy.yml
git commit -qam 'One whose configuration is wrong' && git push -q origin main
git revert --no-edit HEAD >/dev/null && git push -q -o velocity.skip origin main
cd ..

# running N: a step of build N has begun
running() { velocity show "$1" --repo repo.git --json 2>/dev/null | grep -A3 '"type": "run"' | grep -q building; }

velocity serve --repo repo.git 2>serve.log & server=$!
until [ -S repo.git/velocity/sock ]; do sleep 0.1; done
velocity start unit --repo repo.git --param level=slow --follow
velocity rerun 2 --repo repo.git --follow || true
velocity start slow --repo repo.git
until running 6; do sleep 0.1; done
velocity cancel 6 --repo repo.git
velocity start slow --repo repo.git
until running 7; do sleep 0.1; done
kill -9 $server
wait $server 2>/dev/null || true
pkill -9 -f "velocity hook serve --repo $work" || true
pkill -f 'sleep 61234' || true
velocity start unit --repo repo.git # stays in the inbox

velocity builds --repo repo.git --json --limit 100 >"$out.json"
git -C repo.git bundle create -q "$out.bundle" --all
