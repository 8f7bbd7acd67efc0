// Addresses in text that a model wrote.

/** The address as a link may have it: http and https only, written out in full. Null for all others. */
export function safeUrl(address) {
  if (!/^https?:\/\//i.test(address)) {
    return null;
  }
  try {
    return new URL(address).href;
  } catch {
    return null;
  }
}

/** An address in running text, without what more often belongs to the sentence. */
export function withoutPunctuation(address) {
  let end = address.length;
  while (end > 0 && ".,;:!?)]}'_~".includes(address[end - 1])) {
    end -= 1;
  }
  return address.slice(0, end);
}
