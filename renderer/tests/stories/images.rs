//! Images name one registry and a version.

use insta::assert_snapshot;

use crate::world::World;

fn values(text: &str) -> World {
    World::platform().addon("x", "some-chart", "app").with("templates/addons/x/values.yaml.hbs", text)
}

fn job(image: &str) -> World {
    let job = format!(
        "apiVersion: batch/v1
kind: Job
metadata: {{name: x}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: x
          image: {image}
"
    );
    values("{}\n").with("templates/addons/x/manifests/job.yaml.hbs", job)
}

#[test]
fn images_with_a_version_are_no_problem() {
    for text in [
        "image: {repository: quay.io/a/b, tag: v1.2.3}\n",
        "image: {repository: quay.io/a/b}\n",
        "image: quay.io/a/b:v1\n",
        "image: localhost:5000/b@sha256:0123\n",
        "image: pilot\n",
        "rule: {image: \"!*:latest\"}\n",
        "image: quay.io/a/b\ntag: v1\n",
        "image: docker.elastic.co/es/es\nimageTag: 8.1.0\n",
        "image: docker.elastic.co/es/es\nversion: 8.1.0\n",
        "image: docker.elastic.co/es/es\nsha: ab0123\n",
        "image: docker.elastic.co/es/es\nimageVersion: 8.1.0\n",
        "image: docker.elastic.co/es/es\nimage_digest: sha256:01\n",
        "image: https://x/logo.png\n",
        "image: /assets/logo\n",
        "image: assets/logo.svg\n",
        "valueFiles: [../../values/a.yaml]\n",
        "path: v1.2/v1.2/x\n",
    ] {
        assert_eq!(values(text).problems(), "no problems", "{text}");
    }
    assert_eq!(job("busybox:1.37").problems(), "no problems");
}

#[test]
fn an_image_without_a_version_is_told() {
    assert_snapshot!(job("busybox").problems(), @"
    templates/addons/x/manifests/job.yaml.hbs:10:18: image `busybox` names no version
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    ");
    assert_snapshot!(job("quay.io/a/b:latest").problems(), @"
    templates/addons/x/manifests/job.yaml.hbs:10:18: image `quay.io/a/b:latest` has the tag `latest`, which is no version
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    ");
    assert_snapshot!(values("image: {repository: quay.io/a/b, tag: latest}\n").problems(), @"
    templates/addons/x/values.yaml.hbs:1:39: the tag `latest` is no version
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    ");
    assert_snapshot!(values("image: docker.elastic.co/es/es\nimageTag: latest\n").problems(), @"
    templates/addons/x/values.yaml.hbs:2:11: the tag `latest` is no version
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    ");
    assert_snapshot!(values("initContainers:\n  - {name: plugin, image: \"velero/plugin\"}\n").problems(), @"
    templates/addons/x/values.yaml.hbs:2:27: image `velero/plugin` names no version
      hint: name a version, as a tag or as a digest: otherwise it is another image tomorrow
    ");
}
