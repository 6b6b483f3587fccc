use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use testkit::hostile::text::HIDDEN;
use testkit::slack::{self as fake, Slack as Fake};

use super::*;

/// A bot of the test kit's Slack, and how many seconds it waited each time.
fn bot(fake: &Fake, channel: &str) -> (Thread, Arc<Mutex<Vec<u64>>>) {
    let waits = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&waits);
    let pause: Pause = Box::new(move |wait| noted.lock().unwrap().push(wait.as_secs()));
    let api = Url::parse(&fake.api()).unwrap();
    let slack = Slack::of_bot(api, fake::TOKEN.into(), channel.into(), pause).unwrap();
    (Thread::of(slack), waits)
}

fn notice(title: &str) -> Notice {
    Notice {
        title: title.to_owned(),
        facts: vec![("Revision", "a1b2c3d".to_owned()), ("By", "ann".to_owned())],
        lines: vec!["2 files on control: loki".to_owned()],
        links: vec![("the run", "https://github.com/acme/fleet/actions/runs/7".to_owned())],
    }
}

#[test]
fn a_deployment_is_one_message_that_is_edited_with_its_result_below_it() {
    let fake = Fake::start().unwrap();
    let (mut thread, _) = bot(&fake, "#deployments");
    thread.begin(&notice("control: deploying"));
    thread.end(&notice("control: deployed"), &Notice { title: "all healthy".into(), ..Notice::default() });
    assert_snapshot!(fake.seen(), @"
    # deployments (1 edits): control: deployed
      [“control: deployed”]
      “Revision: a1b2c3d” | “By: ann”
      “2 files on control: loki
    ”
      <https://github.com/acme/fleet/actions/runs/7|the run>

    ↳ deployments: all healthy
      [“all healthy”]
    ");
}

#[test]
fn a_webhook_posts_the_result_alone_since_it_cannot_edit() {
    let fake = Fake::start().unwrap();
    let slack = Slack::of_webhook(&fake.webhook().into(), slack::wait()).unwrap();
    let mut thread = Thread::of(slack);
    thread.begin(&notice("control: deploying"));
    thread.end(&notice("control: deployed"), &notice("all healthy"));
    assert_eq!(fake.state().messages.len(), 1);
    assert!(fake.seen().starts_with("# deployments: control: deployed\n"), "{}", fake.seen());
}

#[test]
fn slack_is_waited_for_as_long_as_it_asks_within_a_bound() {
    let fake = Fake::start().unwrap();
    let post = |limited: &[u64]| {
        fake.state().limited.extend(limited);
        let (thread, waits) = bot(&fake, fake::CHANNEL);
        let posted = thread.slack.post(&notice("x"));
        fake.state().limited.clear();
        (posted.map(drop).map_err(|error| error.to_string()), waits.lock().unwrap().clone())
    };
    assert_eq!(post(&[7, 30]), (Ok(()), vec![7, 30]));
    assert_eq!(post(&[61]), (Err("Slack asks to wait 61 seconds more".to_owned()), vec![]));
    assert_eq!(post(&[40, 40]).1, [40], "both together are too long");
    assert_eq!(post(&[1, 1, 1, 1]).1, [1, 1, 1]);
}

#[test]
fn what_slack_refuses_names_the_way_out() {
    let fake = Fake::start().unwrap();
    let refused = |channel: &str| {
        let error = bot(&fake, channel).0.slack.post(&notice("x")).unwrap_err();
        format!("{error}: {}", error.hint().unwrap())
    };
    assert_snapshot!([refused("nowhere"), refused("private")].join("\n"), @"
    Slack answers `channel_not_found`: check the channel's name or id, and invite the app to it
    Slack answers `not_in_channel`: check the channel's name or id, and invite the app to it
    ");
    let gone = format!("{}gone", fake.webhook());
    let error = Slack::of_webhook(&gone.into(), slack::wait()).unwrap().post(&notice("x")).unwrap_err();
    assert_eq!(error.to_string(), "Slack answers `no_service`");
}

#[test]
fn a_slack_that_is_not_there_fails_nothing() {
    let fake = Fake::start().unwrap();
    fake.state().is_down = true;
    let (mut thread, _) = bot(&fake, fake::CHANNEL);
    thread.begin(&notice("x"));
    thread.end(&notice("x"), &notice("y"));
}

#[test]
fn however_long_and_hostile_a_notice_is_slack_takes_it_and_nothing_in_it_is_markup_or_secret() {
    const SECRET: &str = "s3cret-of-the-notices";
    secrets::remember(&SECRET.into());
    let fake = Fake::start().unwrap();
    let hostile = format!("<!channel> *x* `y` @here {HIDDEN} {SECRET} & <https://x|y>");
    let long = hostile.repeat(200);
    let notice = Notice {
        title: long.clone(),
        facts: vec![("Fact", long.clone()); 25],
        lines: vec![long.clone(); 100],
        links: vec![
            ("bad", "javascript:x".into()),
            ("odd", "https://x/|<!here>".into()),
            ("good", "https://x/?a&b".into()),
        ],
    };
    bot(&fake, fake::CHANNEL).0.slack.post(&notice).unwrap().unwrap();
    let empty = Notice {
        title: String::new(),
        facts: vec![("x", String::new())],
        lines: vec![String::new()],
        links: Vec::new(),
    };
    bot(&fake, fake::CHANNEL).0.slack.post(&empty).unwrap().unwrap();
    let sent = fake.state().requests.join("\n");
    assert!(!sent.contains(SECRET) && !sent.contains('\u{202e}'), "{sent}");
    let seen = fake.seen();
    let markup: Vec<&str> = seen.lines().filter(|line| line.starts_with("  <")).collect();
    assert_eq!(markup, ["  <https://x/?a&amp;b|good>"]);
    assert!(seen.starts_with("# deployments: &lt;!channel&gt;"), "{seen}");
}

#[test]
fn the_environment_names_the_channel_and_a_token_without_one_is_an_error() {
    let of = |set: &[(&str, &str)]| {
        let clusters = ["control".to_owned(), "app".to_owned()];
        of_variables(&clusters, |name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    };
    assert!(of(&[]).unwrap().is_empty() && of(&[(TOKEN, ""), (WEBHOOK, " ")]).unwrap().is_empty());
    let bot = of(&[(TOKEN, "xoxb-1234567890"), (CHANNEL, "#x")]).unwrap();
    assert!(bot.len() == 1 && bot[0].has_threads());
    assert_eq!(of(&[(TOKEN, "xoxb-1234567890"), (CHANNEL, "#on-{cluster}")]).unwrap().len(), 2);
    let webhook = of(&[(WEBHOOK, "https://hooks.slack.com/services/T/B/x")]).unwrap();
    assert!(webhook.len() == 1 && !webhook[0].has_threads());
    let error = of(&[(TOKEN, "xoxb-1234567890")]).err().unwrap();
    assert_eq!(error.to_string(), "`FLEETWRIGHT_SLACK_TOKEN` is set and `FLEETWRIGHT_SLACK_CHANNEL` is not");
    let error = of(&[(WEBHOOK, "http://hooks.slack.com/services/T/B/x")]).err().unwrap();
    assert!(error.to_string().contains("not encrypted"), "{error}");
}

#[test]
fn a_channel_may_be_named_by_the_cluster_within_a_bound() {
    let clusters: Vec<_> = (0..60).map(|number| format!("eu-{number:02}")).collect();
    let some = channels("#{cluster}-deployments", &clusters[..2]);
    assert_eq!(some.into_iter().collect::<Vec<_>>(), ["#eu-00-deployments", "#eu-01-deployments"]);
    assert_eq!(channels("#deployments", &[]).into_iter().collect::<Vec<_>>(), ["#deployments"]);
    assert_eq!(channels("#{cluster}", &clusters).len(), MOST_CHANNELS);
}
