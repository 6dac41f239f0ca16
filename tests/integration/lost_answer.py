"""A connection that breaks at the worst moment: the server commits a swap, and its answer does not arrive."""

import socket
import threading


class LostAnswer:
    """
    A proxy in front of a server. Once it is armed, it passes the COMMIT of the next session that has renamed a table,
    waits for the answer, keeps it, and closes both ends. meanwhile: called between the answer and the end.
    """

    def __init__(self, database, meanwhile=None):
        self._database, self._meanwhile = database, meanwhile
        self._armed = threading.Event()
        self.lost = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = f"{database.server.socket_folder}/.s.PGSQL.{database.server.port}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info):
        self._listener.close()

    def arm(self):
        self._armed.set()
        return self

    @property
    def environment(self):
        """The way of a program through it."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self._listener.getsockname()[1])}

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(self._address)
            except OSError:
                client.close()
                continue
            broken = threading.Event()
            threading.Thread(target=self._to_server, args=(client, server, broken), daemon=True).start()
            threading.Thread(target=self._to_client, args=(client, server, broken), daemon=True).start()

    def _to_server(self, client, server, broken):
        swaps = renamed = False
        try:
            while data := client.recv(65536):
                swaps = swaps or b"pgrecast apply\0" in data  # application_name: not a session that plans
                renamed = renamed or (swaps and self._armed.is_set() and b" RENAME TO " in data)
                if renamed and data.endswith(b"COMMIT\0") and not self.lost.is_set():
                    broken.set()  # before the server can answer
                    server.sendall(data)
                    return
                server.sendall(data)
        except OSError:
            pass
        self._close(client, server)

    def _to_client(self, client, server, broken):
        try:
            while data := server.recv(65536):
                if broken.is_set():
                    if self._meanwhile:
                        self._meanwhile()
                    self.lost.set()
                    break
                client.sendall(data)
        except OSError:
            pass
        self._close(client, server)

    @staticmethod
    def _close(*ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the other side was first
            end.close()
