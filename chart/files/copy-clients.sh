# Copies pg_dump and pg_restore of this image, and the libraries and the loader that they need, to /clients, where they run
# in an image of another distribution too.
set -eu
to=/clients
mkdir -p $to/lib
for name in pg_dump pg_restore; do
  # Debian's command is a wrapper in Perl around these.
  real=$(ls /usr/lib/postgresql/*/bin/$name 2>/dev/null | tail -n 1)
  [ -n "$real" ] || real=$(readlink -f "$(command -v $name)")
  cp "$real" $to/lib/$name.bin
  ldd "$real" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[^\/=]*\(\/[^ ]*ld-[^ ]*\) .*/\1/p' |
    while read -r file; do cp -L "$file" $to/lib/; done
  loader=$(ldd "$real" | sed -n 's/^[^\/=]*\/[^ ]*\/\(ld-[^ ]*\) .*/\1/p' | head -n 1)
  printf '#!/bin/sh\nexec %s --library-path %s %s "$@"\n' "$to/lib/$loader" $to/lib $to/lib/$name.bin > $to/$name
  chmod 755 $to/$name
done
