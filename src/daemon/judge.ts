import type { ContentPath } from '../core/content-path.ts';
import type { Digest } from '../core/digest.ts';
import type { RuleSet } from '../core/settings.ts';
import type { Log } from '../lib/log.ts';
import type { Decide, Decision } from './answer.ts';

/** Compiles a rule set once for many decisions. Throws for rules that cannot be understood. */
export type Compile = (rules: RuleSet) => { decide(path: ContentPath): Decision };

/** Rule sets that stay compiled. */
const maxRuleSets = 1024;

/** Decisions that are remembered in each of two generations, for each rule set. */
const maxDecisions = 4096;

interface Judged {
  readonly decide: (path: ContentPath) => Decision;
  young: Map<ContentPath, Decision>;
  old: Map<ContentPath, Decision>;
}

/**
 * Decides by compiled rules and remembers what was decided, by rule set and path: another rule set has another digest, so
 * nothing remembered can outlive its rules, and a guest that asks for endless paths spoils only what its own rule set
 * remembers. Rules that do not compile are told to the log once and decide nothing.
 */
export function createJudge(compile: Compile, log: Log): Decide {
  /** Least recently compiled first; undefined for those that cannot be. */
  const ruleSets = new Map<Digest, Judged | undefined>();

  function judgedBy(digest: Digest, rules: RuleSet): Judged | undefined {
    if (ruleSets.has(digest)) return ruleSets.get(digest);
    const judged = compileOrTell(digest, rules);
    for (const oldest of ruleSets.keys()) {
      if (ruleSets.size < maxRuleSets) break;
      ruleSets.delete(oldest);
    }
    ruleSets.set(digest, judged);
    return judged;
  }

  function compileOrTell(digest: Digest, rules: RuleSet): Judged | undefined {
    try {
      const compiled = compile(rules);
      return { decide: (path) => compiled.decide(path), young: new Map(), old: new Map() };
    } catch (error) {
      log.error({ ruleSet: digest, err: error }, 'rules cannot be understood: their VMs are answered 503');
      return undefined;
    }
  }

  return (digest, rules, path) => {
    const judged = judgedBy(digest, rules);
    if (judged === undefined) return undefined;
    return judged.young.get(path) ?? remember(judged, path, judged.old.get(path) ?? judged.decide(path));
  };
}

/** When the young are many they become the old, and the old are forgotten: bounded, and what is asked for often stays. */
function remember(judged: Judged, path: ContentPath, decision: Decision): Decision {
  if (judged.young.size >= maxDecisions) {
    judged.old = judged.young;
    judged.young = new Map();
  }
  judged.young.set(path, decision);
  return decision;
}
