"""tmp"""
from __future__ import annotations
import statistics as st
from collections import defaultdict
PAGE="docs/reference/verdict-evaluation.md"
def page(cases,clients,seeds): return quick_text(cases)
def med(v):
    v=[1e9 if x is None else x for x in v]; return st.median(v)
def quick_text(cases):
    from missioncontrol.simulate.trains.scenarios import SCENARIOS
    g=defaultdict(list)
    for c in cases: g[c.weight,c.activity,c.scenario].append(c)
    out=[]
    for (w,a,s),cs in sorted(g.items(), key=lambda kv:(kv[0][0],kv[0][1],list(SCENARIOS).index(kv[0][2]))):
        n=len(cs); al=sum(c.alarm is not None for c in cs); a48=sum(c.alarm is not None and c.alarm<=48 for c in cs)
        cov=sum(c.missed is None for c in cs)/n
        sc=SCENARIOS[s]; truth=",".join(sorted(f"{k}={v}" for k,v in sc.where.items()))
        nm=[c.named["12"] for c in cs if c.named]
        orc=[c.slice_oracle for c in cs] if sc.where else [c.oracle for c in cs]
        ex=sum(x==truth for x in nm)
        wd=[st.median(c.widths[i] for c in cs) for i in range(4)]
        miss=[f"{c.missed:.0f}{'+' if c.above else '-'}" for c in cs if c.missed is not None]
        out.append(f"{w:2d} {a:6s} {s:20s} n={n} alarm {al/n:4.0%} 48h {a48/n:4.0%} med {med([c.alarm for c in cs]):7.1f} or {med(orc):7.1f} r {med([c.alarm for c in cs])/med(orc):5.2f} cov {cov:4.0%} w {wd[0]:.2f} {wd[1]:.2f} {wd[2]:.2f} {wd[3]:.2f} sd48 {st.pstdev([c.error for c in cs]):.3f} exact {ex}/{len(nm)} miss {' '.join(miss)[:60]}" + ("" if s!='clean' else " E "+' '.join(f'{c.largest:.1f}@{c.largest_at:.0f}' for c in cs if c.largest>1.3)))
    return "\n".join(out)
