"""The command line `shuangcheng`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (an older Python can be used without pip noticing, from a checkout)
    print("shuangcheng needs Python 3.11 or newer, this is %s" % sys.version.split()[0], file=sys.stderr)  # noqa: UP031
    raise SystemExit(2)
