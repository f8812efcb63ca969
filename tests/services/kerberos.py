"""A Kerberos key distribution centre of the tests' own: one realm, a service and a user with a keytab each.

On loopback, over TCP, in a folder that is gone afterwards. Tickets are files of the caller's choice; where none is
named, the default is a file of this folder, so that nobody's own tickets are seen or touched.
"""

import shutil
import subprocess
from pathlib import Path

import daemon

REALM = "HOSPITAL.TEST"
SERVICE, USER = "postgres/localhost", "researcher"
PACKAGES = {"krb5kdc": "krb5-kdc", "kdb5_util": "krb5-kdc", "kadmin.local": "krb5-admin-server", "kinit": "krb5-user"}

CLIENT = """
[libdefaults]
 default_realm = {realm}
 default_ccache_name = FILE:{folder}/default.cache
 dns_lookup_kdc = false
 dns_lookup_realm = false
 rdns = false
 dns_canonicalize_hostname = false
 clockskew = 1
[realms]
 {realm} = {{
  kdc = 127.0.0.1:{port}
 }}
[domain_realm]
 localhost = {realm}
"""
# No UDP: one port is enough, and the one that was free is that of TCP.
CENTRE = """
[kdcdefaults]
 kdc_listen = ""
 kdc_tcp_listen = 127.0.0.1:{port}
[realms]
 {realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  max_life = 10h
 }}
[logging]
 default = FILE:{folder}/kdc.log
 kdc = FILE:{folder}/kdc.log
"""


class Kerberos:
    """The running centre. `service_keytab` is for a server, `user_keytab` for a job without a ticket; call `end`."""

    def __init__(self) -> None:
        self._programs = {name: daemon.program(name, package) for name, package in PACKAGES.items()}
        self.folder = daemon.folder()
        self.service_keytab, self.user_keytab = self.folder / "service.keytab", self.folder / "researcher.keytab"
        self._configure()
        self._call("kdb5_util", "create", "-s", "-P", "of the tests", "-r", REALM)
        for principal, keytab in ((SERVICE, self.service_keytab), (USER, self.user_keytab)):
            self._call("kadmin.local", "addprinc", "-randkey", principal)
            self._call("kadmin.local", "ktadd", "-k", str(keytab), principal)
        while not self._start():
            self._configure()

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """What a client or a server of this realm needs; `cache`: the file of the client's ticket."""
        # A replay cache would be left behind in /var/tmp.
        found = {"KRB5_CONFIG": str(self.folder / "krb5.conf"), "KRB5RCACHENAME": "none:"}
        return found | ({"KRB5CCNAME": f"FILE:{cache}"} if cache else {})

    def kinit(self, cache: Path, lifetime: str | None = None) -> None:
        """A ticket of the user into the file `cache`; `lifetime` as kinit writes it, '5s' or '10h'."""
        ask = ["-k", "-t", str(self.user_keytab), "-c", f"FILE:{cache}"]
        self._call("kinit", *ask, *(("-l", lifetime) if lifetime else ()), USER)

    def kdestroy(self, cache: Path) -> None:
        """The ticket is no more."""
        cache.unlink(missing_ok=True)

    def end(self) -> None:
        daemon.end(self._server)
        shutil.rmtree(self.folder)

    def _configure(self) -> None:
        self._port = daemon.free_port()
        for name, text in (("krb5.conf", CLIENT), ("kdc.conf", CENTRE)):
            text = text.format(folder=self.folder, port=self._port, realm=REALM)
            (self.folder / name).write_text(text, encoding="utf-8")

    def _start(self) -> bool:
        command = [self._programs["krb5kdc"], "-n", "-r", REALM]
        self._server = daemon.start(command, self._own_environment(), self.folder / "said.log")
        return daemon.wait_until(lambda: daemon.answers(self._port), self._server)

    def _own_environment(self) -> dict[str, str]:
        return self.environment() | {"KRB5_KDC_PROFILE": str(self.folder / "kdc.conf")}

    def _call(self, name: str, *arguments: str) -> None:
        command = [self._programs[name], *arguments]
        environment = self._own_environment() | {"LC_ALL": "C"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
