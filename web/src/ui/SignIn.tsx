import { useEffect, useRef, useState } from "preact/hooks";
import { accountOfToken, devAccount, type Account } from "../account";
import { serverInfo } from "../sync/rest";
import { LIMITS } from "../wire.gen";
import { validID } from "../wire/bytes";
import { sentence } from "./format";
import { Bird } from "./icons";

type Server = "asking" | "development" | "token" | "away";

const RETRY_MS = 3_000;

/** Asks the server how to sign in, until it answers. */
function useServer(): Server {
  const [server, setServer] = useState<Server>("asking");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = () =>
      serverInfo().then(
        (info) => setServer(info.dev_sign_in ? "development" : "token"),
        () => {
          setServer("away");
          timer = setTimeout(look, RETRY_MS);
        },
      );
    void look();
    return () => clearTimeout(timer);
  }, []);
  return server;
}

export function SignIn({ why, enter }: { why: string; enter(a: Account): void }) {
  const server = useServer();
  return (
    <main class="signin">
      <div class="signin-card">
        <Bird size={64} />
        <h1>godwit</h1>
        <p class="signin-lead">Messages that arrive, in order, once.</p>
        {why && (
          <p class="notice notice-bad" role="alert">
            {sentence(why)}
          </p>
        )}
        {server === "asking" && <p role="status">Asking the server…</p>}
        {server === "away" && (
          <p class="notice" role="status">
            The server does not answer. Trying again every few seconds.
          </p>
        )}
        {server === "development" && <ByName enter={enter} />}
        {server === "token" && <ByToken enter={enter} />}
      </div>
    </main>
  );
}

function ByName({ enter }: { enter(a: Account): void }) {
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    const user = name.trim();
    if (!validID(user, LIMITS.id)) {
      setWrong(user ? `A name has at most ${LIMITS.id} bytes and no control characters.` : "Type a name first.");
      return;
    }
    setBusy(true);
    try {
      enter(await devAccount(user));
    } catch (err) {
      setWrong((err as Error).message);
      setBusy(false);
    }
  };
  return (
    <form onSubmit={submit} noValidate>
      <Field label="Your name" name="name" value={name} set={setName} wrong={wrong} placeholder="alice" />
      <button class="button" type="submit" disabled={busy}>
        Start
      </button>
      <p class="devmark">
        <strong>Development sign-in</strong>
        Any name is let in without a password. Do not put anything private here.
      </p>
    </form>
  );
}

function ByToken({ enter }: { enter(a: Account): void }) {
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState("");
  const submit = (e: Event) => {
    e.preventDefault();
    const account = accountOfToken(token);
    if (typeof account === "string") setWrong(account);
    else enter(account);
  };
  return (
    <form onSubmit={submit} noValidate>
      <Field label="Access token" name="token" value={token} set={setToken} wrong={wrong} placeholder="eyJhbGciOi…" />
      <button class="button" type="submit">
        Sign in
      </button>
      <p class="hint">The application that uses this server gives you the token.</p>
    </form>
  );
}

interface FieldProps {
  label: string;
  name: string;
  value: string;
  set(v: string): void;
  wrong: string;
  placeholder: string;
}

function Field({ label, name, value, set, wrong, placeholder }: FieldProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), [wrong]);
  return (
    <p class="field">
      <label for={name}>{label}</label>
      <input
        ref={input}
        id={name}
        name={name}
        value={value}
        placeholder={placeholder}
        autocomplete="off"
        autocapitalize="none"
        spellcheck={false}
        aria-invalid={wrong !== ""}
        aria-describedby={wrong ? `${name}-wrong` : undefined}
        onInput={(e) => set(e.currentTarget.value)}
      />
      {wrong && (
        <span id={`${name}-wrong`} class="field-wrong" role="alert">
          {wrong}
        </span>
      )}
    </p>
  );
}
