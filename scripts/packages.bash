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

# Debian's packages start what they install, now and at each boot. Whatever happens, the system's own rule for that is put back.
policy=/usr/sbin/policy-rc.d

forbid_services() {
	kept=$(mktemp -d)
	[ ! -e "$policy" ] || cp -a "$policy" "$kept/policy"
	trap allow_services EXIT
	printf '#!/bin/sh\nexit 101\n' >"$kept/refuse"
	as_root install -m 755 "$kept/refuse" "$policy"
}

allow_services() {
	if [ -e "$kept/policy" ]; then
		as_root cp -a "$kept/policy" "$policy"
	else
		as_root rm -f "$policy"
	fi
	rm -rf "$kept"
	trap - EXIT
}

# install_idle PROGRAM PACKAGE SERVICE installs a package whose service is to stay off, unless its program is there already.
install_idle() {
	command -v "$1" >/dev/null && return
	need_installer "$1 is missing"
	forbid_services
	apt_install "$1" "$2"
	as_root update-rc.d "$3" disable >/dev/null 2>&1 || true # no such script: nothing to turn off
	! command -v systemctl >/dev/null || as_root systemctl --quiet disable "$3" 2>/dev/null || true
	allow_services
	command -v "$1" >/dev/null || fail "the package $2 was installed, but $1 did not come with it"
}
