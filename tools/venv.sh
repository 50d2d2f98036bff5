#!/bin/sh
# Makes the virtual environment DIR if it is not there, and installs imgpipe into it (editable).
#
#     tools/venv.sh DIR [EXTRA]       EXTRA: test or dev, of pyproject.toml
#
# Needs Python 3.11 or newer with ensurepip or pip; PYTHON names the one to use. Run it from the top of the checkout;
# `make` does.
set -eu

dir=$1
extra=${2:-}
export PIP_DISABLE_PIP_VERSION_CHECK=1

stop() {
    printf 'imgpipe: %s\n' "$@" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

identity() { # of a Python, the same inside and outside an environment made from it
    "$1" -c 'import sys; print(sys.version, sys.base_prefix)' 2>/dev/null
}

find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

install_hint() { # the one command that installs pip or ensurepip here
    if command -v apt-get >/dev/null 2>&1; then
        echo "apt-get install python3-venv"
    elif command -v dnf >/dev/null 2>&1; then
        echo "dnf install python3-pip"
    elif command -v apk >/dev/null 2>&1; then
        echo "apk add py3-pip"
    elif command -v pacman >/dev/null 2>&1; then
        echo "pacman -S python-pip"
    else
        echo "your system's command for the package that holds pip for Python 3"
    fi
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
        command -v "$python" >/dev/null 2>&1 || stop "there is no '$python' (from PYTHON=$python)."
        new_enough "$python" || stop \
            "'$python' is $("$python" --version 2>&1 || true); imgpipe needs Python 3.11 or newer." \
            "Name another one:  make PYTHON=python3.12 test"
        return
    fi
    python=$(find_python)
    [ -n "$python" ] || stop \
        "imgpipe needs Python 3.11 or newer; 'python3' is $(python3 --version 2>&1 || true)." \
        "Install one, or name one that is not on the PATH:  make PYTHON=/path/to/python3.12 test"
}

has_pip() {
    "$1" -m pip --version >/dev/null 2>&1
}

usable() { # is there an environment already, of the Python that is asked for, that can be installed into?
    new_enough "$dir/bin/python" || return 1
    has_pip "$dir/bin/python" || has_pip "$python" || return 1
    [ -z "${PYTHON:-}" ] || [ "$(identity "$dir/bin/python")" = "$(identity "$python")" ]
}

make_venv() {
    if "$python" -c 'import ensurepip' >/dev/null 2>&1; then
        "$python" -m venv --clear "$dir" && return
        echo "imgpipe: '$python -m venv' failed; trying without ensurepip" >&2
    fi
    has_pip "$python" || stop \
        "'$python' has neither ensurepip nor pip, so it cannot install anything. Install one, then run make again:" \
        "    $(install_hint)"
    "$python" -m venv --clear --without-pip "$dir"
}

install() { # with the environment's own pip, else with the pip of the Python it was made from
    if has_pip "$dir/bin/python"; then
        "$dir/bin/python" -m pip install --quiet "$@"
    else
        "$python" -m pip --python "$dir/bin/python" install --quiet "$@"
    fi
}

choose_python
usable || make_venv
echo "imgpipe: installing imgpipe${extra:+[$extra]} into $dir (the first time, this downloads OpenCV and NumPy)"
install --editable ".${extra:+[$extra]}"
