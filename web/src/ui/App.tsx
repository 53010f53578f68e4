import { useEffect, useState } from "preact/hooks";
import { credentialsOf, currentAccount, forgetAccount, keepAccount, leaveAccount, watchAccount, type Account } from "../account";
import { CODE } from "../wire.gen";
import { Engine } from "../sync/engine";
import { useValue } from "./hooks";
import { Messenger } from "./Messenger";
import { SignIn } from "./SignIn";

const format = new URLSearchParams(location.search).get("format") === "json" ? "json" : "msgpack";

function socketUrl(): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;
}

export function App() {
  const [account, setAccount] = useState<Account | null>(currentAccount);
  const [why, setWhy] = useState("");

  const leave = (reason: string) => {
    leaveAccount();
    setWhy(reason);
    setAccount(null);
    history.replaceState(null, "", "#/");
  };
  if (!account) {
    const enter = (a: Account) => {
      keepAccount(a);
      setWhy("");
      setAccount(a);
    };
    return <SignIn why={why} enter={enter} />;
  }
  return <SignedIn key={account.user} account={account} leave={leave} />;
}

function SignedIn({ account, leave }: { account: Account; leave(why: string): void }) {
  const [engine] = useState(() => new Engine(credentialsOf(account), socketUrl(), format));
  useEffect(() => {
    engine.start();
    const unwatch = watchAccount(account.user, () => leave("You signed out in another tab."));
    return () => {
      unwatch();
      engine.stop();
    };
  }, [engine]);

  // A token that the server refuses ends the session; the messages stay.
  const status = useValue(engine.status);
  const refused = status.phase === "stopped" && !(account.dev && status.problem?.code === CODE.token_expired);
  useEffect(() => {
    if (refused) leave(status.problem?.text ?? "The server did not accept this sign-in.");
  }, [refused]);

  const signOut = async () => {
    engine.stop();
    await forgetAccount(account.user);
    leave("");
  };
  return <Messenger engine={engine} dev={account.dev} signOut={() => void signOut()} switchUser={() => leave("")} />;
}
