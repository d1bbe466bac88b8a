#!/bin/sh
# Installs iof @VERSION@: fetches the archive and the sums, checks the one against the other, and copies the program.
#
#   IOF_URL   where the release is [@URL@]
#   IOF_BIN   where the program goes [~/.local/bin; /usr/local/bin for root]
set -eu

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

url=${IOF_URL:-@URL@}
[ -n "$url" ] || fail "the place of the release is not known. Set IOF_URL, as in IOF_URL=https://example.com/releases/@VERSION@"
[ "$(uname -s)" = Linux ] || fail "iof runs on Linux only: got $(uname -s)"
name=iof-@VERSION@-$(uname -m)-linux
if [ "$(id -u)" = 0 ]; then default=/usr/local/bin; else default=$HOME/.local/bin; fi
bin=${IOF_BIN:-$default}
for program in curl sha256sum tar gzip install; do
    command -v "$program" >/dev/null || fail "$program is missing. Install it, and begin again."
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder"
for file in "$name.tar.gz" SHA256SUMS; do
    curl -fsSL --proto '=https,file' --retry 3 -o "$file" "$url/$file" ||
        fail "$url/$file cannot be fetched. Is there a release for $(uname -m)?"
done
grep " $name.tar.gz\$" SHA256SUMS >sum || fail "SHA256SUMS does not name $name.tar.gz"
sha256sum -c sum >/dev/null 2>&1 || fail "$name.tar.gz is not what SHA256SUMS says. Nothing was installed; fetch it again."
tar -xzf "$name.tar.gz"
"./$name/iof" version >/dev/null || fail "the program does not start here. It needs a glibc that is new enough."
mkdir -p "$bin"
install -m 755 "$name/iof" "$bin/iof.new"
mv "$bin/iof.new" "$bin/iof"
echo "$("$bin/iof" version) is in $bin"
case ":$PATH:" in *":$bin:"*) ;; *) echo "$bin is not in PATH: export PATH=\"$bin:\$PATH\"" ;; esac
