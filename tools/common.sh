# shellcheck shell=bash
# What tools/quickstart, tools/test and .ci/run share: the one list of packages, and how they are installed and
# built. To be sourced from the repository's root folder.

# Debian and Ubuntu packages, by what they are for.
# shellcheck disable=SC2034  # used by those who source this
{
  packages_build=(g++ cmake ninja-build pkg-config libhdf5-dev zlib1g-dev libfmt-dev nlohmann-json3-dev libcli11-dev libsndfile1-dev
    libsoxr-dev libhwy-dev libxxhash-dev libtomlplusplus-dev libsvm-dev libpango1.0-dev libcairo2-dev fonts-liberation)
  packages_test=(doctest-dev poppler-utils unzip python3)
  packages_check=(clang-format shellcheck)
  packages_download=(curl ca-certificates unzip)
  packages_emotions=(espeak-ng)
}

say() { printf '%s\n' "$*" >&2; }
step() { if [[ -t 2 ]]; then printf '\033[1m==> %s\033[0m\n' "$*" >&2; else say "==> $*"; fi; }
die() {
  say "${0##*/}: $*"
  exit 1
}

# have PROGRAM...: all of them; `command -v` of several is content with one.
have() {
  local program
  for program in "$@"; do
    command -v "$program" > /dev/null || return 1
  done
}

# The comment at the head of a tool is its help.
show_help() {
  sed -n '2,/^set /{/^set /d;s/^# \?//p}' "tools/${0##*/}"
  exit 0
}

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif have sudo; then
    sudo -- "$@"
  else
    die "installing packages needs root or sudo. As root: apt-get install ${missing[*]}"
  fi
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@"; }

apt_updated=''
apt_update() {
  [[ -n $apt_updated ]] || apt_get update || die "apt-get update failed: is this machine online?"
  apt_updated=yes
}

# install_packages PACKAGE...: those that are missing; does nothing, and needs no root, if none is.
install_packages() {
  if ! have dpkg-query apt-get; then
    say "This is not Debian or Ubuntu: what these packages hold has to be there already: $*"
    return
  fi
  missing=()
  local package
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null) == installed ]] || missing+=("$package")
  done
  [[ ${#missing[@]} -gt 0 ]] || return 0
  step "Installing with apt: ${missing[*]}"
  apt_update
  local log
  log=$(mktemp)
  apt_get install -y --no-install-recommends "${missing[@]}" > "$log" 2>&1 || {
    cat "$log" >&2
    die "apt-get install ${missing[*]} failed"
  }
  rm "$log"
}

# unpack ARCHIVE.zip FOLDER NAMES: dies and unpacks nothing where a name in it does not match NAMES, which lets none out
# of FOLDER, whatever its checksum, or where one is anything but a file or a folder: a link leads elsewhere.
unpack() {
  local archive=$1 folder=$2 names=$3 stray
  if stray=$(unzip -Z1 "$archive" | grep -avE "$names"); then
    die "$archive holds unexpected names, the first is '${stray%%$'\n'*}': not unpacked"
  fi
  if stray=$(unzip -Z "$archive" | grep -aE '^[^-d][-r][-w][-xsS]'); then
    die "$archive holds more than files and folders, the first is '${stray%%$'\n'*}': not unpacked"
  fi
  unzip -q "$archive" -d "$folder"
}

# As many compilers at once as there are cores, and not more than one for each GB of free memory.
build_jobs() {
  local free_gb
  free_gb=$(awk '/^MemAvailable:/ { print int($2 / 1000000) }' /proc/meminfo)
  local jobs
  jobs=$(nproc)
  ((free_gb < jobs)) && jobs=$free_gb
  ((jobs < 1)) && jobs=1
  echo "$jobs"
}

# build PRESET TARGET [CMAKE-OPTION...]; uses ccache where it is installed.
build() {
  local preset=$1 target=$2
  shift 2
  have ccache && set -- -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@"
  local log=build/$preset.log
  mkdir -p build
  cmake --preset "$preset" "$@" > "$log" 2>&1 || {
    cat "$log" >&2
    die "cmake --preset $preset failed"
  }
  # On a terminal ninja shows its own progress; elsewhere only what goes wrong is worth lines.
  if [[ -t 1 ]]; then
    cmake --build "build/$preset" --target "$target" -j "$(build_jobs)" || die "the build failed"
  else
    cmake --build "build/$preset" --target "$target" -j "$(build_jobs)" > "$log" 2>&1 || {
      grep -vE '^\[[0-9]+/[0-9]+\] Building' "$log" >&2
      die "the build failed"
    }
  fi
}
