# What the scripts need on a machine: sourced by them, never run. Each `need_*` returns at once if
# its thing is there, installs it through the system's package manager where it may, and otherwise
# says exactly what to install and ends the script. Nothing asks a question.
# Works in bash 3.2, which macOS has.

POSTGRES_VERSION_MIN=14
MOTO_VERSION=5.2.5

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "error: $*"
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

# Runs a command as root, if that is possible without a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_install() {
    [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

package_manager() {
    local name
    for name in apt-get dnf apk brew; do
        if have "$name"; then
            printf '%s' "$name"
            return
        fi
    done
}

# The command that installs packages, for a person to type.
install_hint() {
    local manager=$1
    shift
    case "$manager" in
        apt-get) printf 'sudo apt-get install %s' "$*" ;;
        dnf) printf 'sudo dnf install %s' "$*" ;;
        apk) printf 'sudo apk add %s' "$*" ;;
        brew) printf 'brew install %s' "$*" ;;
    esac
}

# install_packages MANAGER PACKAGE...: fails if the manager does, or may not be used.
install_packages() {
    local manager=$1
    shift
    if [ "$manager" = brew ]; then
        # Homebrew refuses root, and needs no rights.
        [ "$(id -u)" -ne 0 ] || return 1
    else
        may_install || return 1
    fi
    say "installing $* with $manager"
    case "$manager" in
        brew) brew install "$@" ;;
        apt-get)
            as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
                as_root env DEBIAN_FRONTEND=noninteractive \
                    apt-get install -y -q --no-install-recommends "$@"
            ;;
        dnf) as_root dnf install -y "$@" ;;
        apk) as_root apk add --no-progress "$@" ;;
        *) return 1 ;;
    esac >&2
}

# Finds cargo, also where rustup puts it without changing PATH.
need_cargo() {
    if ! have cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
        export PATH
    fi
    have cargo || die "cargo was not found: install a Rust toolchain from https://rustup.rs"
}

need_c_compiler() {
    have cc || have gcc || have clang && return
    local manager packages=gcc
    manager=$(package_manager)
    case "$manager" in
        apt-get) packages="gcc libc6-dev" ;;
        dnf) packages="gcc" ;;
        apk) packages="build-base" ;;
        brew) die "no C compiler was found: run xcode-select --install" ;;
        *) die "no C compiler was found: install gcc or clang" ;;
    esac
    # Word splitting makes the list of packages.
    # shellcheck disable=SC2086
    install_packages "$manager" $packages ||
        die "no C compiler was found: run $(install_hint "$manager" "$packages")"
}

# Folders where systems keep PostgreSQL's programs, one a line.
postgres_folders() {
    local path
    have pg_config && pg_config --bindir
    have postgres && dirname "$(command -v postgres)"
    for path in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql*/ \
        /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
        /Applications/Postgres.app/Contents/Versions/*/bin; do
        if [ -d "$path" ]; then
            printf '%s\n' "$path"
        fi
    done
}

# Whether the server's programs are here, new enough.
have_postgres() {
    local folder version
    while IFS= read -r folder; do
        [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] || continue
        version=$("$folder/postgres" --version 2>/dev/null | sed 's/[^0-9]*\([0-9]*\).*/\1/')
        if [ "${version:-0}" -ge "$POSTGRES_VERSION_MIN" ]; then
            return 0
        fi
    done <<FOLDERS
$(postgres_folders)
FOLDERS
    return 1
}

# Debian's package makes a cluster and starts a server of its own; nobody asked for that here.
without_main_cluster() {
    local conf=/etc/postgresql-common/createcluster.d/tidegate-setup.conf
    if [ -e /etc/postgresql-common/createcluster.conf ] || ! may_install; then
        "$@"
        return
    fi
    local status=0
    as_root mkdir -p "${conf%/*}"
    printf 'create_main_cluster = false\n' | as_root tee "$conf" >/dev/null
    "$@" || status=$?
    as_root rm -f "$conf"
    return "$status"
}

need_postgres() {
    have_postgres && return
    local manager package
    manager=$(package_manager)
    case "$manager" in
        apt-get) package=postgresql ;;
        dnf) package=postgresql-server ;;
        apk) package=postgresql ;;
        brew) package=postgresql@17 ;;
        *) die "install the server programs of PostgreSQL $POSTGRES_VERSION_MIN or later" \
            "(initdb and postgres) and put their folder on PATH" ;;
    esac
    without_main_cluster install_packages "$manager" "$package" ||
        die "the server programs of PostgreSQL are missing:" \
            "run $(install_hint "$manager" "$package")"
    have_postgres ||
        die "$package has no server of version $POSTGRES_VERSION_MIN or later:" \
            "install one from https://www.postgresql.org/download/"
}

# An S3 API for the tests: the Python package moto, in a folder of its own. Without it the tests of
# S3 say that they check nothing, so this fails without ending the script.
try_moto() {
    local folder="${CARGO_TARGET_DIR:-$PWD/target}/tools/moto"
    TIDEGATE_MOTO="$folder/bin/moto_server"
    export TIDEGATE_MOTO
    [ -x "$TIDEGATE_MOTO" ] && return
    if ! python3 -c 'import ensurepip' 2>/dev/null; then
        case "$(package_manager)" in
            apt-get) install_packages apt-get python3 python3-venv ;;
            dnf) install_packages dnf python3 ;;
            apk) install_packages apk python3 ;;
            brew) install_packages brew python3 ;;
            *) false ;;
        esac || return 1
    fi
    say "installing moto $MOTO_VERSION"
    rm -rf "$folder"
    if python3 -m venv "$folder" &&
        "$folder/bin/pip" install -q "moto[server]==$MOTO_VERSION" >&2; then
        return
    fi
    rm -rf "$folder"
    return 1
}

# A browser for the test that opens the HTML report. Without one that test says that it checks
# nothing, so this fails without ending the script.
try_chromium() {
    local name
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        have "$name" && return
    done
    case "$(package_manager)" in
        apt-get) install_packages apt-get chromium ;;
        dnf) install_packages dnf chromium ;;
        apk) install_packages apk chromium ;;
        *) return 1 ;;
    esac && { have chromium || have chromium-browser; }
}

# So that nothing reaches a database of the user's: the scripts work on servers of their own.
forget_databases() {
    unset DATABASE_URL PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSWORD PGPASSFILE \
        PGSERVICE PGSERVICEFILE PGSSLMODE PGOPTIONS
    # Nor a bucket.
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_PROFILE
}

setup() {
    need_cargo
    need_c_compiler
    need_postgres
    forget_databases
}
