//! What a change does to final objects, by both of its sides: one of each kind of Application first, and the others as far
//! as there is time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::iter;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rayon::prelude::*;
use renderer::deployed::{self, Call, Deployed, Source};
use renderer::effects::{self, Effects, Unit, compare};
use renderer::manifests::Object;
use renderer::path::{AddonName, ClusterName};
use renderer::plan::Facts;
use renderer::problem::Problem;
use renderer::render::{Progress, Rendered};

use super::bound::Bound;
use super::fleet::{Absent, Job, Making, Missing, Parts, Survey, Texts, faults};
use super::side::Side;
use crate::parted::Parted;

/// How many Applications are looked at together for each core: between them it is seen whether there is time left, and
/// their texts are in memory.
const AT_ONCE: usize = 8;
/// How many bytes of texts are kept for the Applications that follow.
const MAX_HELD_BYTES: usize = 128 << 20;

/// Where an Application's objects are: its cluster, and its name.
type Place = (ClusterName, String);

/// What a change does to what runs, as far as it was looked at.
#[derive(Debug)]
pub struct Found {
    /// What it does.
    pub effects: Effects,
    /// How much of it was looked at.
    pub extent: Extent,
    /// What of the new side is not read, and why.
    pub unread: Vec<String>,
    /// The charts that did not come, by name and version, and why.
    pub absent: Absent,
    /// What is wrong with what could not be compared.
    pub problems: Vec<Problem>,
    /// What is wrong with the new side of what was.
    pub judged: Vec<Problem>,
}

/// How much of a change was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The clusters with Applications whose objects may change.
    pub clusters: usize,
    /// Those on which all of these were looked at.
    pub done_clusters: usize,
    /// The Applications, counted on each cluster.
    pub applications: usize,
    /// Those whose objects can't be made or read.
    pub failed: usize,
    /// Those for which there was no time.
    pub late: usize,
    /// Whether one of each kind was looked at.
    pub has_each_kind: bool,
}

/// Applications of which something differs, and the same: their objects are made and compared once for all of them.
struct Pair<'d> {
    places: Vec<&'d Place>,
    /// Those of the first place.
    sides: [Option<&'d Deployed>; 2],
    /// What is the same for Applications that differ in nothing but what is their clusters' own.
    kind: [u8; 32],
}

/// What becomes of definitions of kinds, by the digest of the add-on that has them and of both of their texts.
#[derive(Default)]
struct Known(Mutex<Units>);

type Units = HashMap<[u8; 32], Option<Arc<Unit>>>;

/// What became of a pair.
#[derive(Clone)]
enum Looked {
    /// With what is not read, and what is wrong with the objects of the new side in each place.
    Compared(Vec<Arc<Unit>>, Vec<String>, Vec<Problem>),
    Failed(Vec<Problem>),
    Late,
}

impl Making {
    /// Makes the objects of both sides of each Application that differs, and compares them.
    ///
    /// An Application is made if what it reads differs, or if the kinds that its cluster has do and its chart asks for them.
    /// What `head` accepts about an add-on is accepted before the change, too: otherwise nobody could see the change that
    /// accepts it. `first` is shown what was found once one of each kind was looked at, if others follow.
    pub fn effects(
        &self,
        sides: [&Side<'_>; 2],
        facts: &Facts,
        bound: Bound,
        progress: &(dyn Progress + Sync),
        first: &dyn Fn(Found),
    ) -> Found {
        let by_place = sides.map(|side| {
            side.deployed
                .iter()
                .map(|it| ((it.cluster.clone(), it.application.clone()), it))
                .collect::<BTreeMap<_, _>>()
        });
        let [old, new] = &by_place;
        let differs = |place: &Place| match (old.get(place), new.get(place)) {
            (Some(old), Some(new)) => old.namespace != new.namespace || old.sources != new.sources,
            _ => true,
        };
        let places: BTreeSet<&Place> = old.keys().chain(new.keys()).collect();
        let differing: BTreeSet<&Place> = places.iter().copied().filter(|place| differs(place)).collect();
        let clusters: BTreeSet<ClusterName> = differing.iter().map(|(cluster, _)| cluster.clone()).collect();
        let mut texts = Texts::new();
        let surveys = sides.map(|side| self.survey(side, &clusters, &mut texts, bound, progress));
        let has_other_kinds = |cluster: &ClusterName| {
            let [old, new] = surveys.each_ref().map(|survey| survey.definitions.get(cluster));
            old != new
        };
        let changed: BTreeSet<&ClusterName> =
            clusters.iter().filter(|cluster| has_other_kinds(cluster)).collect();
        let sides = |place: &Place| [old.get(place).copied(), new.get(place).copied()];
        let is_given_others = |place: &Place| {
            let [old, new] = sides(place);
            old.zip(new)
                .is_some_and(|(old, new)| surveys[0].api_versions(old) != surveys[1].api_versions(new))
        };
        let is_wanted = |place: &&Place| {
            differing.contains(place) || (changed.contains(&place.0) && is_given_others(place))
        };
        let wanted: Vec<&Place> = places.into_iter().filter(is_wanted).collect();
        let same: Vec<[u8; 32]> =
            wanted.par_iter().map(|place| same(place, sides(place), &surveys)).collect();
        let mut known = HashMap::new();
        let mut pairs: Vec<Pair<'_>> = Vec::new();
        for (place, same) in wanted.into_iter().zip(same) {
            let at = *known.entry(same).or_insert(pairs.len());
            if at == pairs.len() {
                let sides = sides(place);
                pairs.push(Pair { places: Vec::new(), sides, kind: kind(place, sides, facts) });
            }
            pairs[at].places.push(place);
        }
        let (pairs, kinds) = one_of_each_kind_first(pairs);
        let of_each_kind = |looked: &[Looked]| first(gathered(&pairs, looked.to_vec(), facts));
        let looked = self.look(&surveys, pairs.split_at(kinds), (texts, bound), progress, &of_each_kind);
        self.tidy();
        let mut absent = Absent::new();
        for survey in surveys {
            absent.extend(survey.absent);
        }
        // Those of charts that nothing of the change is made of are none of its business.
        absent.retain(|id, _| {
            let deployed = pairs.iter().flat_map(|pair| pair.sides).flatten();
            deployed.flat_map(Deployed::calls).any(|call| call.chart == *id)
        });
        Found { absent, ..gathered(&pairs, looked, facts) }
    }

    /// Looks at pairs in their order, one of each kind and the others, as far as there is time.
    fn look(
        &self,
        surveys: &[Survey<'_>; 2],
        (of_each_kind, others): (&[Pair<'_>], &[Pair<'_>]),
        (mut texts, bound): (Texts, Bound),
        progress: &(dyn Progress + Sync),
        first: &dyn Fn(&[Looked]),
    ) -> Vec<Looked> {
        let (mut failed, known) = (BTreeSet::new(), Known::default());
        let mut looked = Vec::new();
        let at_once = AT_ONCE * rayon::current_num_threads();
        for pairs in of_each_kind.chunks(at_once).chain(others.chunks(at_once)) {
            if looked.len() == of_each_kind.len() {
                first(&looked);
            }
            let held: usize = texts.values().flatten().map(|text| text.size_bytes()).sum();
            if held > MAX_HELD_BYTES {
                texts.retain(|_, text| text.is_err());
            }
            let jobs: Vec<[Option<Vec<Job<'_>>>; 2]> = pairs
                .iter()
                .map(|pair| {
                    [0, 1].map(|side| match pair.sides[side] {
                        Some(deployed) => self.jobs(&surveys[side], deployed),
                        None => Some(Vec::new()),
                    })
                })
                .collect();
            // What fails for one of a kind fails for the others.
            let is_tried = |pair: &Pair<'_>| !failed.contains(&pair.kind);
            let tried = pairs
                .iter()
                .zip(&jobs)
                .filter(|(pair, sides)| is_tried(pair) && sides.iter().all(Option::is_some));
            let tried: Vec<&Job<'_>> = tried.flat_map(|(_, sides)| sides).flatten().flatten().collect();
            self.make(&tried, &mut texts, bound, progress);
            let found: Vec<Looked> = pairs
                .par_iter()
                .zip(&jobs)
                .map(|(pair, sides)| match sides {
                    [Some(old), Some(new)] if is_tried(pair) => {
                        pair.look(surveys, [old, new], &texts, &known)
                    }
                    [Some(_), Some(_)] => Looked::Failed(Vec::new()),
                    // A chart that was not even looked for is late.
                    _ if pair.has_absent_chart(surveys) => Looked::Failed(Vec::new()),
                    _ => Looked::Late,
                })
                .collect();
            let is_failed = |(pair, looked): (&Pair<'_>, &Looked)| {
                matches!(looked, Looked::Failed(_)).then_some(pair.kind)
            };
            failed.extend(pairs.iter().zip(&found).filter_map(is_failed));
            looked.extend(found);
        }
        looked
    }
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Units> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pair<'_> {
    fn look(
        &self,
        surveys: &[Survey<'_>; 2],
        jobs: [&Vec<Job<'_>>; 2],
        texts: &Texts,
        known: &Known,
    ) -> Looked {
        let all = jobs.into_iter().flatten();
        if all.clone().any(|job| matches!(texts.get(&job.key), Some(Err(Missing::Late)) | None)) {
            return Looked::Late;
        }
        let refused: Vec<Problem> = [0, 1]
            .into_iter()
            .flat_map(|side| {
                let rendered = surveys[side].rendered;
                let refused = jobs[side].iter().filter_map(move |job| job.problem(rendered, texts));
                refused.chain(self.sides[side].into_iter().flat_map(move |it| faults(rendered, it)))
            })
            .collect();
        if !refused.is_empty() {
            return Looked::Failed(refused);
        }
        let parts = |side: usize| surveys[side].parts(self.sides[side]?, &mut jobs[side].iter(), texts);
        let mut sides = [parts(0), parts(1)];
        let definitions = match self.definitions(surveys, &mut sides, known) {
            Ok(unit) => unit,
            Err(problems) => return Looked::Failed(problems),
        };
        match self.unit(surveys, sides.each_ref().map(Option::as_ref)) {
            Ok((unit, judged)) => {
                let [_, new] = sides;
                let units = definitions.into_iter().chain(unit.map(Arc::new)).collect();
                Looked::Compared(units, new.map(|new| new.unread).unwrap_or_default(), judged)
            }
            Err(problems) => Looked::Failed(problems),
        }
    }

    /// Takes the definitions of kinds out of an Application that stays, and compares them once for all clusters that have
    /// the same. Effects on other objects do not depend on them.
    fn definitions(
        &self,
        surveys: &[Survey<'_>; 2],
        sides: &mut [Option<Parts>; 2],
        known: &Known,
    ) -> Result<Option<Arc<Unit>>, Vec<Problem>> {
        let [Some(old), Some(new)] = sides else { return Ok(None) };
        let whole = [old.clone(), new.clone()];
        let definitions = [old.take_definitions(), new.take_definitions()];
        let [before, after] = definitions.each_ref().map(Parts::definitions);
        if before == after {
            return Ok(None);
        }
        let mut hasher = Parted::default();
        hasher.add(format!("{:?}", new.addon).as_bytes());
        for side in [before, after] {
            hasher.add(&side.concat());
        }
        let key = hasher.digest();
        if let Some(unit) = known.lock().get(&key) {
            return Ok(unit.clone());
        }
        match self.unit(surveys, definitions.each_ref().map(Some)) {
            Ok((unit, _)) => {
                let unit = unit.map(Arc::new);
                known.lock().insert(key, unit.clone());
                Ok(unit)
            }
            // Where it is wrong is told by the whole text.
            Err(problems) => Err(self.unit(surveys, whole.each_ref().map(Some)).err().unwrap_or(problems)),
        }
    }

    fn unit(
        &self,
        surveys: &[Survey<'_>; 2],
        [old, new]: [Option<&Parts>; 2],
    ) -> Result<(Option<Unit>, Vec<Problem>), Vec<Problem>> {
        let [base, head] = surveys.each_ref().map(|survey| survey.rendered);
        let applied = |mut objects: Vec<Object>| {
            objects.retain(Object::is_applied);
            objects
        };
        let before = old.map(|old| old.objects(head).or_else(|_| old.objects(base)));
        let before = before.transpose()?.map(applied);
        let after = new.map(|new| new.objects(head)).transpose()?.map(applied);
        let judged = new.zip(after.as_ref()).map(|(new, after)| {
            let made = new.made(after);
            let clusters = self.places.iter().map(|(cluster, _)| cluster);
            let made: Vec<_> = clusters.map(|cluster| deployed::Made { cluster, ..made.clone() }).collect();
            deployed::judged(head, &made)
        });
        let addon = [new, old].into_iter().flatten().find_map(|parts| parts.addon.clone());
        let (_, application) = self.places[0];
        // What is a cluster's own has no add-on; its Application has a name all the same.
        let addon = addon.or_else(|| AddonName::parse(application).ok());
        let nodes = nodes(self.places[0], [base, head]);
        let unit = addon.map(|addon| compare(&addon, before.as_deref(), after.as_deref(), nodes));
        Ok((unit, judged.unwrap_or_default()))
    }

    fn has_absent_chart(&self, surveys: &[Survey<'_>; 2]) -> bool {
        self.sides.iter().zip(surveys).any(|(side, survey)| {
            side.iter()
                .flat_map(|deployed| deployed.calls())
                .any(|call| survey.absent.contains_key(&call.chart))
        })
    }
}

/// Puts one of each kind before the others, and returns how many kinds there are.
fn one_of_each_kind_first(mut pairs: Vec<Pair<'_>>) -> (Vec<Pair<'_>>, usize) {
    let mut seen = BTreeSet::new();
    pairs.sort_by_cached_key(|pair| !seen.insert(pair.kind));
    (pairs, seen.len())
}

/// Returns how many nodes the cluster of an Application has, if that is known.
fn nodes((cluster, _): &Place, [base, head]: [&Rendered; 2]) -> Option<usize> {
    let described = [head, base].iter().find_map(|side| side.inventory.clusters.get(cluster))?;
    Some(described.nodes.len()).filter(|count| *count > 0)
}

/// Returns what is the same for Applications whose objects are made of the same, and compared alike.
fn same(place: &Place, sides: [Option<&Deployed>; 2], surveys: &[Survey<'_>; 2]) -> [u8; 32] {
    let mut hasher = Parted::default();
    read_by(sides, &mut |bytes| hasher.add(bytes));
    // Without an add-on it is called by the Application's name.
    let own = sides.iter().flatten().find(|it| it.addon.is_none()).map(|it| it.application.as_str());
    hasher.add(format!("{own:?}").as_bytes());
    hasher.add(format!("{:?}", nodes(place, surveys.each_ref().map(|survey| survey.rendered))).as_bytes());
    for survey in surveys {
        // Clusters of a survey that have the same share them.
        hasher.add(&Arc::as_ptr(&survey.definitions[&place.0]).addr().to_le_bytes());
    }
    hasher.digest()
}

/// Returns what is the same for Applications that differ in nothing but what is their clusters' own.
fn kind(place: &Place, sides: [Option<&Deployed>; 2], facts: &Facts) -> [u8; 32] {
    let mut hasher = Parted::default();
    let mut add =
        |bytes: &[u8]| hasher.add(facts.general(&place.0, &String::from_utf8_lossy(bytes)).as_bytes());
    for deployed in sides.into_iter().flatten() {
        add(deployed.application.as_bytes());
    }
    read_by(sides, &mut add);
    hasher.digest()
}

/// Hands over all that the objects of an Application are made of, by side.
fn read_by(sides: [Option<&Deployed>; 2], add: &mut dyn FnMut(&[u8])) {
    for side in sides {
        // How many of each follow is told first: what is written cannot be read in two ways.
        add(&[u8::from(side.is_some())]);
        let Some(deployed) = side else { continue };
        add(&deployed.sources.len().to_le_bytes());
        add(deployed.addon.as_ref().map_or("", |addon| addon.as_str()).as_bytes());
        add(deployed.namespace.as_bytes());
        for source in &deployed.sources {
            match source {
                Source::Chart(call) => {
                    let Call { values, parameters, .. } = &**call;
                    // Their texts are added by themselves, since a text in a text is written with escapes.
                    let rest = Call { values: Vec::new(), parameters: Vec::new(), ..(**call).clone() };
                    add(format!("{rest:?} {} {}", values.len(), parameters.len()).as_bytes());
                    for values in values {
                        add(values);
                    }
                    for parameter in parameters {
                        add(format!("{parameter:?}").as_bytes());
                    }
                }
                // Their paths have the cluster in them, and say nothing of what they become.
                Source::Documents(files) => {
                    add(&files.len().to_le_bytes());
                    for (_, bytes) in files {
                        add(bytes);
                    }
                }
                Source::Unread(reason) | Source::Faulty(reason) => {
                    add(b"not read");
                    add(reason.as_bytes());
                }
                Source::Lacking(_) => add(b"not known"),
            }
        }
    }
}

/// Puts together what was found, cluster by cluster; for pairs after the last one that was looked at, there was no time.
fn gathered(pairs: &[Pair<'_>], looked: Vec<Looked>, facts: &Facts) -> Found {
    let (mut clusters, mut problems, mut unread) =
        (BTreeMap::<ClusterName, Vec<(&String, Arc<Unit>)>>::new(), Vec::new(), BTreeSet::new());
    let mut judged = Vec::new();
    let applications = pairs.iter().map(|pair| pair.places.len()).sum();
    let mut extent = Extent { applications, ..Extent::default() };
    let (mut left, mut done_kinds) = (BTreeMap::<&ClusterName, usize>::new(), BTreeSet::new());
    let late = iter::repeat(Looked::Late);
    for (pair, looked) in pairs.iter().zip(looked.into_iter().chain(late)) {
        let count = pair.places.len();
        let mut is_left = true;
        match looked {
            Looked::Compared(units, reasons, more) => {
                is_left = false;
                judged.extend(more);
                done_kinds.insert(pair.kind);
                for (cluster, application) in &pair.places {
                    let of_cluster = clusters.entry(cluster.clone()).or_default();
                    of_cluster.extend(units.iter().map(|unit| (application, Arc::clone(unit))));
                    let shown = |reason| format!("not all objects of `{application}` are shown: {reason}");
                    unread.extend(reasons.iter().map(shown));
                }
            }
            Looked::Failed(more) => {
                done_kinds.insert(pair.kind);
                problems.extend(more);
                extent.failed += count;
            }
            Looked::Late => extent.late += count,
        }
        for (cluster, _) in &pair.places {
            *left.entry(cluster).or_default() += usize::from(is_left);
        }
    }
    extent.has_each_kind = pairs.iter().all(|pair| done_kinds.contains(&pair.kind));
    extent.clusters = left.len();
    extent.done_clusters = left.values().filter(|left| **left == 0).count();
    let units = clusters.into_iter().map(|(cluster, mut of_cluster)| {
        of_cluster.sort_by_key(|(application, _)| *application);
        (cluster, of_cluster.into_iter().map(|(_, unit)| Arc::unwrap_or_clone(unit)).collect())
    });
    let effects = effects::effects(units, facts);
    Found {
        effects,
        extent,
        unread: unread.into_iter().collect(),
        absent: Absent::new(),
        problems: deployed::merged(problems),
        judged: deployed::merged(judged),
    }
}
