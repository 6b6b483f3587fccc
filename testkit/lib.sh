# shellcheck shell=bash
#
# What the scripts that fetch for tests share. Sourced, never run.

# Downloads packages of this system, whose signatures apt checks, within so many seconds, and unpacks them into a folder.
# Nothing is installed.
unpack_packages() {
  local into=$1 seconds=$2 package
  shift 2
  # apt gives up its rights for a download, and wants to write there.
  chmod 0777 "$into"
  (cd "$into" && timeout "$seconds" apt-get download --quiet "$@" >/dev/null)
  for package in "$into"/*.deb; do
    dpkg -x "$package" "$into"
  done
  rm "$into"/*.deb
  chmod 0755 "$into"
}
