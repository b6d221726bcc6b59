#!/usr/bin/env bash
# Run a command with PHOTODB_TEST_URL naming a throw-away PostgreSQL 14+ server, started from the binaries found on
# this machine; say so and succeed where there are none. The server listens on a socket in a private folder only.
set -euo pipefail

find_binaries() {
  local found
  for found in "${PHOTODB_PG_BIN:-}" $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin 2>/dev/null | sort -rV) \
    "$(pg_config --bindir 2>/dev/null || true)"; do
    if [ -n "$found" ] && [ -x "$found/initdb" ] && [ -x "$found/postgres" ] &&
      [ "$("$found/postgres" --version | sed -E 's/[^0-9]*([0-9]+).*/\1/')" -ge 14 ]; then
      echo "$found"
      return
    fi
  done
}

if [ -n "${PHOTODB_TEST_URL:-}" ]; then
  exec "$@"
fi
binaries=$(find_binaries)
if [ -z "$binaries" ]; then
  echo "no PostgreSQL 14+ server on this machine: nothing to test it with"
  exit 0
fi

as_server=()
if [ "$(id -u)" -eq 0 ]; then # PostgreSQL refuses root; in a user namespace it sees an ordinary user
  as_server=(unshare --user --map-user=1000 --map-group=1000 --)
fi
if [ "${#as_server[@]}" -gt 0 ] && ! "${as_server[@]}" true 2>/dev/null; then
  echo "no user namespaces here, and PostgreSQL refuses root: run this as an ordinary user"
  exit 0
fi

folder=$(mktemp -d /tmp/photodb-pg.XXXXXX)
chmod 700 "$folder"
stop() {
  status=$?
  "${as_server[@]}" "$binaries/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$folder"
  exit "$status"
}
trap stop EXIT

"${as_server[@]}" "$binaries/initdb" -D "$folder/data" -U photodb_test -A trust -E UTF8 --locale=C --no-sync \
  >"$folder/initdb.log" || { cat "$folder/initdb.log"; exit 1; }
"${as_server[@]}" "$binaries/pg_ctl" -D "$folder/data" -l "$folder/server.log" -w \
  -o "-c listen_addresses= -c unix_socket_directories=$folder -c fsync=off -c max_connections=60" start \
  >/dev/null || { cat "$folder/server.log"; exit 1; }
echo "$("$binaries/postgres" --version), started for these tests"
PHOTODB_TEST_URL="postgresql://photodb_test@/postgres?host=$folder" "$@"
