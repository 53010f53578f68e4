import { hueOf, initials } from "./format";
import { PeopleIcon } from "./icons";

const HUES = 8;

/** A round sign for a user or a group; the name stands next to it. */
export function Avatar({ name, group, small }: { name: string; group?: boolean; small?: boolean }) {
  return (
    <span class={`avatar hue-${hueOf(name, HUES)}${small ? " avatar-small" : ""}`} aria-hidden="true">
      {group ? <PeopleIcon /> : initials(name)}
    </span>
  );
}

/** The class that colours a sender's name like their avatar. */
export function nameClass(name: string): string {
  return `name-${hueOf(name, HUES)}`;
}
