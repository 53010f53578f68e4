#!/bin/sh
# need.sh NAME: makes a tool of the test suite available, or says in one line
# what is left out and how to get it. Exit code 0: the tool is there; 1: not.
# Installs only when it may: as root, with apt-get.
set -u

have() {
	case "$1" in
	cc) command -v gcc || command -v cc || command -v clang ;;
	node) command -v npm && node -e 'process.exit(+process.versions.node.split(".")[0] < 20 ? 1 : 0)' ;;
	chromium) command -v chromium || command -v chromium-browser || command -v google-chrome ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

package() {
	case "$1" in
	cc) echo gcc libc6-dev ;;
	node) echo nodejs npm ;;
	*) echo "$1" ;;
	esac
}

gets() {
	case "$1" in
	cc) echo "the race detector" ;;
	node) echo "the page's unit and browser tests" ;;
	chromium) echo "the browser tests" ;;
	*) echo "what needs $1" ;;
	esac
}

have "$1" && exit 0
pkgs=$(package "$1")
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
	echo "installing $pkgs for $(gets "$1")"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086 # several packages
	{ apt-get update -qq && apt-get install -y -qq --no-install-recommends $pkgs; } >/dev/null 2>&1
	have "$1" && exit 0
fi
echo "LEFT OUT: $(gets "$1"), because $1 is missing or too old; get it with: apt-get install $pkgs"
exit 1
