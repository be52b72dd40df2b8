# Sourced by the other scripts: installing Debian packages, or saying in one sentence why not.

# fail prints one sentence and ends the script.
fail() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# as_root runs a command as root, through sudo where we are not.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# need_installer ends the script with one sentence where packages cannot be installed from here.
need_installer() {
	command -v apt-get >/dev/null ||
		fail "$1, and this system has no apt-get: install it by hand"
	[ "$(id -u)" -eq 0 ] && return
	command -v sudo >/dev/null ||
		fail "$1: run this as root once, or install it by hand"
	# Without a terminal sudo must not ask for a password.
	[ -t 0 ] || sudo -n true 2>/dev/null ||
		fail "$1, and sudo asks for a password but there is no terminal: install it by hand"
}

# apt_install WHAT PACKAGE... installs packages, quietly unless something goes wrong. It asks for new lists once a run.
apt_install() {
	local what=$1 log
	shift
	need_installer "$what is missing"
	log=$(mktemp)
	echo "$(basename "$0"): installing $*"
	if ! { [ -n "${apt_updated:-}" ] || as_root apt-get -q update; } >"$log" 2>&1 ||
		! as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install "$@" >>"$log" 2>&1; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		fail "installing $* failed; apt-get's last lines stand above"
	fi
	apt_updated=yes
	rm -f "$log"
}
