// The codec string that WebCodecs wants, read from the parameter sets in front of a keyframe (Annex B).

/** Calls `visit(nal)` for each NAL unit, without its start code; stops when `visit` returns something. */
function eachNal(bytes, visit) {
  let start = -1;
  for (let i = 0; i + 2 < bytes.length; i++) {
    if (bytes[i] !== 0 || bytes[i + 1] !== 0 || bytes[i + 2] !== 1) continue;
    if (start >= 0) {
      const found = visit(bytes.subarray(start, i));
      if (found) return found;
    }
    start = i + 3;
    i += 2;
  }
  return start >= 0 ? visit(bytes.subarray(start)) : null;
}

const hex = (value) => value.toString(16).padStart(2, "0").toUpperCase();

/** Without the emulation prevention bytes (00 00 03). */
function unescaped(nal, length) {
  const out = [];
  for (let i = 0; i < nal.length && out.length < length; i++) {
    if (i >= 2 && nal[i] === 3 && nal[i - 1] === 0 && nal[i - 2] === 0) continue;
    out.push(nal[i]);
  }
  return out;
}

/** "avc1.PPCCLL" (RFC 6381; profile, constraints, level: the three bytes after the SPS's NAL header). */
function avc(bytes) {
  return eachNal(bytes, (nal) =>
    (nal[0] & 0x1f) === 7 && nal.length > 3 ? `avc1.${hex(nal[1])}${hex(nal[2])}${hex(nal[3])}` : null,
  );
}

/** "hev1.…" (ISO/IEC 14496-15, annex E.3) from profile_tier_level in the SPS; hev1, as parameter sets are in band. */
function hevc(bytes) {
  return eachNal(bytes, (nal) => {
    if (((nal[0] >> 1) & 0x3f) !== 33) return null;
    const sps = unescaped(nal, 16);
    if (sps.length < 15) return null;
    const profile = sps[3];
    const space = ["", "A", "B", "C"][profile >> 6];
    let compatibility = 0;
    for (let bit = 0; bit < 32; bit++) compatibility |= ((sps[4 + (bit >> 3)] >> (7 - (bit & 7))) & 1) << bit;
    const constraints = sps.slice(8, 14);
    while (constraints.length && constraints.at(-1) === 0) constraints.pop();
    const tier = profile & 0x20 ? "H" : "L";
    const parts = [`${space}${profile & 0x1f}`, (compatibility >>> 0).toString(16).toUpperCase(), `${tier}${sps[14]}`];
    return ["hev1", ...parts, ...constraints.map((byte) => byte.toString(16).toUpperCase())].join(".");
  });
}

export function codecString(codec, bytes) {
  return codec === "hevc" ? hevc(bytes) : avc(bytes);
}
