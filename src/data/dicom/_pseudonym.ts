/** @file Pseudonyms: patients and images are told apart by salted hashes; the ids themselves go nowhere. */

/** SHA-256 in hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)); // a copy: the type wants its own buffer
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * The same id with the same salt gives the same pseudonym; 128 bits in hexadecimal.
 *
 * @param kind keeps a patient's id and an image's id apart, should they be equal
 */
export async function pseudonym(kind: "patient" | "study" | "image", id: string, salt: string): Promise<string> {
  const hash = await sha256(new TextEncoder().encode(JSON.stringify([salt, kind, id])));
  return hash.slice(0, 32);
}
