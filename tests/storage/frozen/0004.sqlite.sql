BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0004');
CREATE TABLE coverage (
	listing TEXT NOT NULL, 
	newest_created_at DATETIME NOT NULL, 
	newest_run_id TEXT NOT NULL, 
	oldest_created_at DATETIME NOT NULL, 
	oldest_run_id TEXT NOT NULL, 
	reaches_start BOOLEAN NOT NULL, 
	CONSTRAINT pk_coverage PRIMARY KEY (listing, newest_created_at, newest_run_id)
);
INSERT INTO "coverage" VALUES('wercker/pipeline/659a92401588440b77355bad','2024-05-03T18:25:05.992000Z','66352c011588440b77355bc0','2024-01-11T10:34:56.298000Z','659fc4501588440b77355baf',1);
INSERT INTO "coverage" VALUES('wercker/pipeline/659a92401588440b77355bae','2024-02-20T16:46:54.653000Z','65d4d77e1588440b77355bc6','2024-01-11T10:41:40.366000Z','659fc5e41588440b77355bc1',1);
CREATE TABLE listing_pipelines (
	listing TEXT NOT NULL, 
	pipeline_id INTEGER NOT NULL, label TEXT, 
	CONSTRAINT pk_listing_pipelines PRIMARY KEY (listing, pipeline_id), 
	CONSTRAINT fk_listing_pipelines_pipeline_id_pipelines FOREIGN KEY(pipeline_id) REFERENCES pipelines (id)
);
INSERT INTO "listing_pipelines" VALUES('wercker/pipeline/659a92401588440b77355bad',1,NULL);
INSERT INTO "listing_pipelines" VALUES('wercker/pipeline/659a92401588440b77355bae',2,NULL);
CREATE TABLE listings (
	listing TEXT NOT NULL, 
	memory JSON NOT NULL, 
	CONSTRAINT pk_listings PRIMARY KEY (listing)
);
CREATE TABLE months (
	pipeline_id INTEGER NOT NULL, 
	month TEXT NOT NULL, 
	version TEXT NOT NULL, 
	pruned_at DATETIME, 
	pruned_runs INTEGER, 
	CONSTRAINT pk_months PRIMARY KEY (pipeline_id, month)
)
 WITHOUT ROWID

;
INSERT INTO "months" VALUES(1,'2024-01','fd074cc11bf31d4c',NULL,NULL);
INSERT INTO "months" VALUES(1,'2024-02','54619ac48f2cf9c6',NULL,NULL);
INSERT INTO "months" VALUES(1,'2024-03','13214c018d03e260',NULL,NULL);
INSERT INTO "months" VALUES(1,'2024-04','2a205a3d04e71933',NULL,NULL);
INSERT INTO "months" VALUES(1,'2024-05','5ddd3d28aca56ba0',NULL,NULL);
INSERT INTO "months" VALUES(2,'2024-01','40cc6df355a3e3f6',NULL,NULL);
INSERT INTO "months" VALUES(2,'2024-02','25f8b16739dae0f8',NULL,NULL);
CREATE TABLE pipelines (
	id INTEGER NOT NULL, 
	source TEXT NOT NULL, 
	external_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	url TEXT, 
	created_at DATETIME, 
	extra JSON, default_branch TEXT, 
	CONSTRAINT pk_pipelines PRIMARY KEY (id)
);
INSERT INTO "pipelines" VALUES(1,'wercker','659a92401588440b77355bad','build-and-test','https://app.wercker.com/api/v3/pipelines/659a92401588440b77355bad','2024-01-07T12:00:00.000000Z','{"permissions":"public","pipelineName":"build","setScmProviderStatus":true,"type":"git"}',NULL);
INSERT INTO "pipelines" VALUES(2,'wercker','659a92401588440b77355bae','deploy-production','https://app.wercker.com/api/v3/pipelines/659a92401588440b77355bae','2024-01-07T12:00:00.000000Z','{"permissions":"public","pipelineName":"deploy","setScmProviderStatus":true,"type":"git"}',NULL);
CREATE TABLE runs (
	pipeline_id INTEGER NOT NULL, 
	id TEXT NOT NULL, 
	attempt INTEGER NOT NULL, 
	branch TEXT, 
	commit_hash TEXT, 
	message TEXT, 
	author TEXT, 
	author_id TEXT, 
	status TEXT NOT NULL, 
	result TEXT NOT NULL, 
	raw_status TEXT, 
	raw_result TEXT, 
	progress INTEGER, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	queued_ms BIGINT, 
	duration_ms BIGINT, 
	source_run_id TEXT, 
	url TEXT, 
	extra JSON, 
	steps_synced_at DATETIME, 
	settled BOOLEAN DEFAULT 0 NOT NULL, 
	first_seen_at DATETIME NOT NULL, 
	last_seen_at DATETIME NOT NULL, 
	vanished_at DATETIME, number TEXT, event TEXT, outcome TEXT, web_url TEXT, 
	CONSTRAINT pk_runs PRIMARY KEY (pipeline_id, id), 
	CONSTRAINT fk_runs_pipeline_id_pipelines FOREIGN KEY(pipeline_id) REFERENCES pipelines (id)
);
INSERT INTO "runs" VALUES(1,'659fc4501588440b77355baf',1,'master','38a0213a7f2306d9eaaea890ba9099affb9d983d','Größe der Vorschaubilder begrenzen','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-01-11T10:34:56.298000Z','2024-01-11T10:37:06.050000Z','2024-01-11T10:41:38.366000Z',129752,272316,NULL,'https://app.wercker.com/api/v3/runs/659fc4501588440b77355baf','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/659fc4501588440b77355baf');
INSERT INTO "runs" VALUES(1,'65a15a3f1588440b77355bb0',1,'master','3b00a8e9034aec921bf2bbb7d957447f39e2f935','Speed up search by caching facets 🚀','liwei','5702ce7b45aa90d1e3f8b26c','finished','failed',NULL,NULL,31,'2024-01-12T15:26:55.985000Z','2024-01-12T15:28:09.942000Z','2024-01-12T15:29:24.450000Z',73957,74508,NULL,'https://app.wercker.com/api/v3/runs/65a15a3f1588440b77355bb0','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'failure','http://127.0.0.1:8080/#build/65a15a3f1588440b77355bb0');
INSERT INTO "runs" VALUES(1,'65a6b1ee1588440b77355bb1',1,'feature/csp-101','0d369348b6a069838634e9c7d9160d864eb70b0a','Fix flaky login test','Ana Kovač','571b44e08f1c2d3b4a596877','finished','passed',NULL,NULL,100,'2024-01-16T16:42:22.842000Z','2024-01-16T16:43:29.125000Z','2024-01-16T16:47:48.038000Z',66283,258913,NULL,'https://app.wercker.com/api/v3/runs/65a6b1ee1588440b77355bb1','{"user":{"avatar":{"gravatar":"c4ca4238a0b923820dcc509a6f75849b"},"meta":{"werckerEmployee":false},"name":"Ana Kovač","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65a6b1ee1588440b77355bb1');
INSERT INTO "runs" VALUES(1,'65b77bb11588440b77355bb2',1,'master','a2be4f1ba357011880f7e4c6d74444ccd2aac345','Speed up search by caching facets 🚀','mokaf','56a1f0c2d7be4e1a09c3b7d1','finished','passed',NULL,NULL,100,'2024-01-29T10:19:29.770000Z','2024-01-29T10:21:33.183000Z','2024-01-29T10:26:05.558000Z',123413,272375,NULL,'https://app.wercker.com/api/v3/runs/65b77bb11588440b77355bb2','{"user":{"avatar":{"gravatar":"0d5c9a51e1f2436f8f6a3b7790c6d2ab"},"meta":{"username":"mokaf","werckerEmployee":false},"name":"Mira Okaf","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65b77bb11588440b77355bb2');
INSERT INTO "runs" VALUES(1,'65ba2b2a1588440b77355bb3',1,'master','8e67b43b9ae97d38c782bc74adafbdc5171ad558','Rename "basket" to "cart"','tonnu','549101f36b3ba8733d88ce96','finished','passed',NULL,NULL,100,'2024-01-31T11:12:42.187000Z','2024-01-31T11:13:05.030000Z','2024-01-31T11:17:42.735000Z',22843,277705,NULL,'https://app.wercker.com/api/v3/runs/65ba2b2a1588440b77355bb3','{"user":{"avatar":{"gravatar":"bb95c388b227da2ce2f33c0811478095"},"meta":{"username":"tonnu","werckerEmployee":true},"name":"Toon","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65ba2b2a1588440b77355bb3');
INSERT INTO "runs" VALUES(1,'65bcb1581588440b77355bb4',1,'master','fed497f53accc6679f9cea3fc8e59001483d2410','Tighten the content security policy','Ana Kovač','571b44e08f1c2d3b4a596877','finished','passed',NULL,NULL,100,'2024-02-02T09:09:44.575000Z','2024-02-02T09:11:47.511000Z','2024-02-02T09:16:13.183000Z',122936,265672,NULL,'https://app.wercker.com/api/v3/runs/65bcb1581588440b77355bb4','{"user":{"avatar":{"gravatar":"c4ca4238a0b923820dcc509a6f75849b"},"meta":{"werckerEmployee":false},"name":"Ana Kovač","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65bcb1581588440b77355bb4');
INSERT INTO "runs" VALUES(1,'65c5df111588440b77355bb5',1,'feature/cleanup-104','51651e6dee1b5fba52e084618e7596de54b0cfe8','Tighten the content security policy','tonnu','549101f36b3ba8733d88ce96','finished','passed',NULL,NULL,100,'2024-02-09T08:15:13.600000Z','2024-02-09T08:15:21.686000Z','2024-02-09T08:20:16.461000Z',8086,294775,NULL,'https://app.wercker.com/api/v3/runs/65c5df111588440b77355bb5','{"user":{"avatar":{"gravatar":"bb95c388b227da2ce2f33c0811478095"},"meta":{"username":"tonnu","werckerEmployee":true},"name":"Toon","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65c5df111588440b77355bb5');
INSERT INTO "runs" VALUES(1,'65c611311588440b77355bb6',1,'master','400d8314d6553b618a4304505016e8e459069f79','Speed up search by caching facets 🚀','Ana Kovač','571b44e08f1c2d3b4a596877','finished','passed',NULL,NULL,100,'2024-02-09T11:49:05.770000Z','2024-02-09T11:50:12.166000Z','2024-02-09T11:54:41.752000Z',66396,269586,NULL,'https://app.wercker.com/api/v3/runs/65c611311588440b77355bb6','{"user":{"avatar":{"gravatar":"c4ca4238a0b923820dcc509a6f75849b"},"meta":{"werckerEmployee":false},"name":"Ana Kovač","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65c611311588440b77355bb6');
INSERT INTO "runs" VALUES(1,'65ce325f1588440b77355bb7',1,'master','c7c397d588c5f2ac902268850ec2c2caac19db2e','Make the nightly report idempotent','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-02-15T15:48:47.571000Z','2024-02-15T15:49:38.947000Z','2024-02-15T15:54:20.496000Z',51376,281549,NULL,'https://app.wercker.com/api/v3/runs/65ce325f1588440b77355bb7','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65ce325f1588440b77355bb7');
INSERT INTO "runs" VALUES(1,'65d4d6291588440b77355bb8',1,'master','ae548e9d1c8833dc546a146ac7acf48565917247','Fix flaky login test','mokaf','56a1f0c2d7be4e1a09c3b7d1','finished','passed',NULL,NULL,100,'2024-02-20T16:41:13.403000Z','2024-02-20T16:41:54.072000Z','2024-02-20T16:46:52.653000Z',40669,298581,NULL,'https://app.wercker.com/api/v3/runs/65d4d6291588440b77355bb8','{"user":{"avatar":{"gravatar":"0d5c9a51e1f2436f8f6a3b7790c6d2ab"},"meta":{"username":"mokaf","werckerEmployee":false},"name":"Mira Okaf","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65d4d6291588440b77355bb8');
INSERT INTO "runs" VALUES(1,'65e998421588440b77355bb9',1,'master','bca3665fe29b84c0bde4b94399903e6c3b921954','Rename "basket" to "cart"','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-03-07T10:34:42.245000Z','2024-03-07T10:37:55.513000Z','2024-03-07T10:42:59.209000Z',193268,303696,NULL,'https://app.wercker.com/api/v3/runs/65e998421588440b77355bb9','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65e998421588440b77355bb9');
INSERT INTO "runs" VALUES(1,'65eaf0c01588440b77355bba',1,'feature/search-116','072200dcafe4a8f2d2daf18d1ebf0a3f21f39a0b','Remove dead feature flags','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-03-08T11:04:32.673000Z','2024-03-08T11:05:04.978000Z','2024-03-08T11:10:02.213000Z',32305,297235,NULL,'https://app.wercker.com/api/v3/runs/65eaf0c01588440b77355bba','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65eaf0c01588440b77355bba');
INSERT INTO "runs" VALUES(1,'66158c971588440b77355bbb',1,'master','9cff8ce3e6b374cabdc12b0fa834fb972f34a46d','Größe der Vorschaubilder begrenzen','mokaf','56a1f0c2d7be4e1a09c3b7d1','finished','aborted',NULL,NULL,51,'2024-04-09T18:44:39.582000Z','2024-04-09T18:44:46.884000Z','2024-04-09T18:45:57.343000Z',7302,70459,NULL,'https://app.wercker.com/api/v3/runs/66158c971588440b77355bbb','{"user":{"avatar":{"gravatar":"0d5c9a51e1f2436f8f6a3b7790c6d2ab"},"meta":{"username":"mokaf","werckerEmployee":false},"name":"Mira Okaf","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'cancellation','http://127.0.0.1:8080/#build/66158c971588440b77355bbb');
INSERT INTO "runs" VALUES(1,'6616e2841588440b77355bbc',1,'master','355a5690f424cf6c60e5c31a6b0e603c69e2f985','Fix flaky login test','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-04-10T19:03:32.570000Z','2024-04-10T19:03:37.364000Z','2024-04-10T19:08:10.251000Z',4794,272887,NULL,'https://app.wercker.com/api/v3/runs/6616e2841588440b77355bbc','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/6616e2841588440b77355bbc');
INSERT INTO "runs" VALUES(1,'663210a01588440b77355bbd',1,'master','ec64c518ddb858fecea81d1f08d65b35354f0559','Größe der Vorschaubilder begrenzen','release-bot',NULL,'finished','failed',NULL,NULL,13,'2024-05-01T09:51:28.819000Z','2024-05-01T09:52:19.384000Z','2024-05-01T09:52:52.489000Z',50565,33105,NULL,'https://app.wercker.com/api/v3/runs/663210a01588440b77355bbd','{"user":{"avatar":{"gravatar":"1679091c5a880faf6fb5e6087eb1b2dc"},"meta":{"username":"release-bot","werckerEmployee":false},"name":"release-bot","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'failure','http://127.0.0.1:8080/#build/663210a01588440b77355bbd');
INSERT INTO "runs" VALUES(1,'66336ed31588440b77355bbe',1,'fix/export-127','1e274f70ff1992d03c5d1ff907ae69320b551414','Handle empty invoices','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-05-02T10:45:39.125000Z','2024-05-02T10:46:49.153000Z','2024-05-02T10:51:31.387000Z',70028,282234,NULL,'https://app.wercker.com/api/v3/runs/66336ed31588440b77355bbe','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/66336ed31588440b77355bbe');
INSERT INTO "runs" VALUES(1,'6634f1251588440b77355bbf',1,'fix/export-127','2ebeacf184ba0e4c8b562e38fdf1015bc4457f19','Refactor order totals, part two','liwei','5702ce7b45aa90d1e3f8b26c','finished','aborted',NULL,NULL,81,'2024-05-03T14:13:57.993000Z','2024-05-03T14:15:57.406000Z','2024-05-03T14:17:05.821000Z',119413,68415,NULL,'https://app.wercker.com/api/v3/runs/6634f1251588440b77355bbf','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'cancellation','http://127.0.0.1:8080/#build/6634f1251588440b77355bbf');
INSERT INTO "runs" VALUES(1,'66352c011588440b77355bc0',1,'master','ce0f07f848edd9b932226a56ca95c247b8c078ab','Speed up search by caching facets 🚀','jnunez','56f3b9d01c2e5a7b83d9f014','finished','aborted',NULL,NULL,99,'2024-05-03T18:25:05.992000Z','2024-05-03T18:25:35.012000Z','2024-05-03T18:26:41.571000Z',29020,66559,NULL,'https://app.wercker.com/api/v3/runs/66352c011588440b77355bc0','{"user":{"avatar":{"gravatar":"8a1e4c7d92b35f60718293a4b5c6d7e8"},"meta":{"username":"jnunez","werckerEmployee":false},"name":"José Núñez","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'cancellation','http://127.0.0.1:8080/#build/66352c011588440b77355bc0');
INSERT INTO "runs" VALUES(2,'659fc5e41588440b77355bc1',1,'master','38a0213a7f2306d9eaaea890ba9099affb9d983d','Größe der Vorschaubilder begrenzen','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-01-11T10:41:40.366000Z','2024-01-11T10:42:35.556000Z','2024-01-11T10:44:16.044000Z',55190,100488,NULL,'https://app.wercker.com/api/v3/runs/659fc5e41588440b77355bc1','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/659fc5e41588440b77355bc1');
INSERT INTO "runs" VALUES(2,'65ba2c581588440b77355bc2',1,'master','8e67b43b9ae97d38c782bc74adafbdc5171ad558','Rename "basket" to "cart"','tonnu','549101f36b3ba8733d88ce96','finished','passed',NULL,NULL,100,'2024-01-31T11:17:44.735000Z','2024-01-31T11:18:49.167000Z','2024-01-31T11:20:09.751000Z',64432,80584,NULL,'https://app.wercker.com/api/v3/runs/65ba2c581588440b77355bc2','{"user":{"avatar":{"gravatar":"bb95c388b227da2ce2f33c0811478095"},"meta":{"username":"tonnu","werckerEmployee":true},"name":"Toon","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65ba2c581588440b77355bc2');
INSERT INTO "runs" VALUES(2,'65bcb2df1588440b77355bc3',1,'master','fed497f53accc6679f9cea3fc8e59001483d2410','Tighten the content security policy','Ana Kovač','571b44e08f1c2d3b4a596877','finished','passed',NULL,NULL,100,'2024-02-02T09:16:15.183000Z','2024-02-02T14:04:54.809000Z','2024-02-02T14:06:59.503000Z',17319626,124694,NULL,'https://app.wercker.com/api/v3/runs/65bcb2df1588440b77355bc3','{"user":{"avatar":{"gravatar":"c4ca4238a0b923820dcc509a6f75849b"},"meta":{"werckerEmployee":false},"name":"Ana Kovač","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65bcb2df1588440b77355bc3');
INSERT INTO "runs" VALUES(2,'65c612831588440b77355bc4',1,'master','400d8314d6553b618a4304505016e8e459069f79','Speed up search by caching facets 🚀','Ana Kovač','571b44e08f1c2d3b4a596877','finished','passed',NULL,NULL,100,'2024-02-09T11:54:43.752000Z','2024-02-09T11:55:00.586000Z','2024-02-09T11:56:41.285000Z',16834,100699,NULL,'https://app.wercker.com/api/v3/runs/65c612831588440b77355bc4','{"user":{"avatar":{"gravatar":"c4ca4238a0b923820dcc509a6f75849b"},"meta":{"werckerEmployee":false},"name":"Ana Kovač","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65c612831588440b77355bc4');
INSERT INTO "runs" VALUES(2,'65ce33ae1588440b77355bc5',1,'master','c7c397d588c5f2ac902268850ec2c2caac19db2e','Make the nightly report idempotent','liwei','5702ce7b45aa90d1e3f8b26c','finished','passed',NULL,NULL,100,'2024-02-15T15:54:22.496000Z','2024-02-15T15:58:22.154000Z','2024-02-15T16:00:20.077000Z',239658,117923,NULL,'https://app.wercker.com/api/v3/runs/65ce33ae1588440b77355bc5','{"user":{"avatar":{"gravatar":"3f9d2e8c17b64a05c8d1f2e3a4b59687"},"meta":{"username":"liwei","werckerEmployee":false},"name":"Li Wei","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65ce33ae1588440b77355bc5');
INSERT INTO "runs" VALUES(2,'65d4d77e1588440b77355bc6',1,'master','ae548e9d1c8833dc546a146ac7acf48565917247','Fix flaky login test','mokaf','56a1f0c2d7be4e1a09c3b7d1','finished','passed',NULL,NULL,100,'2024-02-20T16:46:54.653000Z','2024-02-20T16:48:04.040000Z','2024-02-20T16:49:47.868000Z',69387,103828,NULL,'https://app.wercker.com/api/v3/runs/65d4d77e1588440b77355bc6','{"user":{"avatar":{"gravatar":"0d5c9a51e1f2436f8f6a3b7790c6d2ab"},"meta":{"username":"mokaf","werckerEmployee":false},"name":"Mira Okaf","type":"wercker"}}','2024-05-06T12:00:00.000000Z',1,'2024-05-06T12:00:00.000000Z','2024-05-06T12:00:00.000000Z',NULL,NULL,NULL,'success','http://127.0.0.1:8080/#build/65d4d77e1588440b77355bc6');
CREATE TABLE set_aside (
	listing TEXT NOT NULL, 
	pipeline_id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_set_aside PRIMARY KEY (listing, pipeline_id, run_id), 
	CONSTRAINT fk_set_aside_pipeline_id_pipelines FOREIGN KEY(pipeline_id) REFERENCES pipelines (id)
);
CREATE TABLE steps (
	pipeline_id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	job TEXT, 
	name TEXT NOT NULL, 
	phase TEXT, 
	status TEXT NOT NULL, 
	result TEXT NOT NULL, 
	raw_status TEXT, 
	raw_result TEXT, 
	created_at DATETIME, 
	started_at DATETIME, 
	finished_at DATETIME, 
	duration_ms BIGINT, 
	log_url TEXT, 
	artifacts_url TEXT, 
	extra JSON, runner TEXT, outcome TEXT, 
	CONSTRAINT pk_steps PRIMARY KEY (pipeline_id, run_id, id), 
	CONSTRAINT fk_steps_pipeline_id_run_id_runs FOREIGN KEY(pipeline_id, run_id) REFERENCES runs (pipeline_id, id)
)
 WITHOUT ROWID

;
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-01-11T10:34:56.301000Z','2024-01-11T10:37:07.700000Z','2024-01-11T10:37:08.435000Z',735,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-01-11T10:34:56.302000Z','2024-01-11T10:37:08.585000Z','2024-01-11T10:37:23.470000Z',14885,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:34:56.303000Z','2024-01-11T10:37:23.620000Z','2024-01-11T10:38:14.018000Z',50398,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:34:56.304000Z','2024-01-11T10:38:14.168000Z','2024-01-11T10:38:24.429000Z',10261,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:34:56.305000Z','2024-01-11T10:38:24.579000Z','2024-01-11T10:39:29.930000Z',65351,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:34:56.306000Z','2024-01-11T10:39:30.080000Z','2024-01-11T10:41:16.412000Z',106332,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:34:56.307000Z','2024-01-11T10:41:16.562000Z','2024-01-11T10:41:37.279000Z',20717,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'659fc4501588440b77355baf','659fc4508f2a6c0001000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-01-11T10:34:56.308000Z','2024-01-11T10:41:37.429000Z','2024-01-11T10:41:38.366000Z',937,'https://app.wercker.com/api/v3/runsteps/659fc4508f2a6c0001000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-01-12T15:26:55.988000Z','2024-01-12T15:28:11.592000Z','2024-01-12T15:28:12.139000Z',547,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-01-12T15:26:55.989000Z','2024-01-12T15:28:12.289000Z','2024-01-12T15:28:25.657000Z',13368,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-01-12T15:26:55.990000Z','2024-01-12T15:28:25.807000Z','2024-01-12T15:29:14.324000Z',48517,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000004',4,NULL,'lint','mainSteps','finished','failed',NULL,NULL,'2024-01-12T15:26:55.991000Z','2024-01-12T15:29:14.474000Z','2024-01-12T15:29:22.786000Z',8312,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000004/log',NULL,NULL,NULL,'failure');
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000005',5,NULL,'unit tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-01-12T15:26:55.992000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000005/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000006',6,NULL,'browser tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-01-12T15:26:55.993000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000006/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000007',7,NULL,'package','mainSteps','notstarted','unknown',NULL,NULL,'2024-01-12T15:26:55.994000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000007/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'65a15a3f1588440b77355bb0','65a15a3f8f2a6c0002000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-01-12T15:26:55.995000Z','2024-01-12T15:29:22.936000Z','2024-01-12T15:29:24.450000Z',1514,'https://app.wercker.com/api/v3/runsteps/65a15a3f8f2a6c0002000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-01-16T16:42:22.845000Z','2024-01-16T16:43:30.775000Z','2024-01-16T16:43:31.421000Z',646,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-01-16T16:42:22.846000Z','2024-01-16T16:43:31.571000Z','2024-01-16T16:43:42.359000Z',10788,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-01-16T16:42:22.847000Z','2024-01-16T16:43:42.509000Z','2024-01-16T16:44:37.118000Z',54609,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-01-16T16:42:22.848000Z','2024-01-16T16:44:37.268000Z','2024-01-16T16:44:51.251000Z',13983,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-01-16T16:42:22.849000Z','2024-01-16T16:44:51.401000Z','2024-01-16T16:46:20.983000Z',89582,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-01-16T16:42:22.850000Z','2024-01-16T16:46:21.133000Z','2024-01-16T16:47:25.540000Z',64407,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-01-16T16:42:22.851000Z','2024-01-16T16:47:25.690000Z','2024-01-16T16:47:46.280000Z',20590,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65a6b1ee1588440b77355bb1','65a6b1ee8f2a6c0003000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-01-16T16:42:22.852000Z','2024-01-16T16:47:46.430000Z','2024-01-16T16:47:48.038000Z',1608,'https://app.wercker.com/api/v3/runsteps/65a6b1ee8f2a6c0003000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-01-29T10:19:29.773000Z','2024-01-29T10:21:34.833000Z','2024-01-29T10:21:35.548000Z',715,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-01-29T10:19:29.774000Z','2024-01-29T10:21:35.698000Z','2024-01-29T10:21:49.819000Z',14121,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-01-29T10:19:29.775000Z','2024-01-29T10:21:49.969000Z','2024-01-29T10:22:38.861000Z',48892,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-01-29T10:19:29.776000Z','2024-01-29T10:22:39.011000Z','2024-01-29T10:22:48.392000Z',9381,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-01-29T10:19:29.777000Z','2024-01-29T10:22:48.542000Z','2024-01-29T10:24:03.846000Z',75304,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-01-29T10:19:29.778000Z','2024-01-29T10:24:03.996000Z','2024-01-29T10:25:43.665000Z',99669,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-01-29T10:19:29.779000Z','2024-01-29T10:25:43.815000Z','2024-01-29T10:26:04.264000Z',20449,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65b77bb11588440b77355bb2','65b77bb18f2a6c0004000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-01-29T10:19:29.780000Z','2024-01-29T10:26:04.414000Z','2024-01-29T10:26:05.558000Z',1144,'https://app.wercker.com/api/v3/runsteps/65b77bb18f2a6c0004000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-01-31T11:12:42.190000Z','2024-01-31T11:13:06.680000Z','2024-01-31T11:13:07.372000Z',692,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-01-31T11:12:42.191000Z','2024-01-31T11:13:07.522000Z','2024-01-31T11:13:25.169000Z',17647,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:12:42.192000Z','2024-01-31T11:13:25.319000Z','2024-01-31T11:14:13.498000Z',48179,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:12:42.193000Z','2024-01-31T11:14:13.648000Z','2024-01-31T11:14:28.746000Z',15098,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:12:42.194000Z','2024-01-31T11:14:28.896000Z','2024-01-31T11:16:09.222000Z',100326,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:12:42.195000Z','2024-01-31T11:16:09.372000Z','2024-01-31T11:17:17.126000Z',67754,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:12:42.196000Z','2024-01-31T11:17:17.276000Z','2024-01-31T11:17:41.597000Z',24321,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ba2b2a1588440b77355bb3','65ba2b2a8f2a6c0005000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-01-31T11:12:42.197000Z','2024-01-31T11:17:41.747000Z','2024-01-31T11:17:42.735000Z',988,'https://app.wercker.com/api/v3/runsteps/65ba2b2a8f2a6c0005000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-02T09:09:44.578000Z','2024-02-02T09:11:49.161000Z','2024-02-02T09:11:49.842000Z',681,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-02T09:09:44.579000Z','2024-02-02T09:11:49.992000Z','2024-02-02T09:11:58.599000Z',8607,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:09:44.580000Z','2024-02-02T09:11:58.749000Z','2024-02-02T09:12:56.573000Z',57824,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:09:44.581000Z','2024-02-02T09:12:56.723000Z','2024-02-02T09:13:06.988000Z',10265,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:09:44.582000Z','2024-02-02T09:13:07.138000Z','2024-02-02T09:14:19.684000Z',72546,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:09:44.583000Z','2024-02-02T09:14:19.834000Z','2024-02-02T09:15:49.700000Z',89866,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:09:44.584000Z','2024-02-02T09:15:49.850000Z','2024-02-02T09:16:11.801000Z',21951,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65bcb1581588440b77355bb4','65bcb1588f2a6c0006000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-02T09:09:44.585000Z','2024-02-02T09:16:11.951000Z','2024-02-02T09:16:13.183000Z',1232,'https://app.wercker.com/api/v3/runsteps/65bcb1588f2a6c0006000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-09T08:15:13.603000Z','2024-02-09T08:15:23.336000Z','2024-02-09T08:15:23.949000Z',613,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-09T08:15:13.604000Z','2024-02-09T08:15:24.099000Z','2024-02-09T08:15:38.969000Z',14870,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-02-09T08:15:13.605000Z','2024-02-09T08:15:39.119000Z','2024-02-09T08:16:34.591000Z',55472,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-02-09T08:15:13.606000Z','2024-02-09T08:16:34.741000Z','2024-02-09T08:16:46.712000Z',11971,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-02-09T08:15:13.607000Z','2024-02-09T08:16:46.862000Z','2024-02-09T08:18:08.321000Z',81459,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-02-09T08:15:13.608000Z','2024-02-09T08:18:08.471000Z','2024-02-09T08:19:56.699000Z',108228,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-02-09T08:15:13.609000Z','2024-02-09T08:19:56.849000Z','2024-02-09T08:20:15.351000Z',18502,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c5df111588440b77355bb5','65c5df118f2a6c0007000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-09T08:15:13.610000Z','2024-02-09T08:20:15.501000Z','2024-02-09T08:20:16.461000Z',960,'https://app.wercker.com/api/v3/runsteps/65c5df118f2a6c0007000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-09T11:49:05.773000Z','2024-02-09T11:50:13.816000Z','2024-02-09T11:50:14.458000Z',642,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-09T11:49:05.774000Z','2024-02-09T11:50:14.608000Z','2024-02-09T11:50:29.594000Z',14986,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:49:05.775000Z','2024-02-09T11:50:29.744000Z','2024-02-09T11:51:19.376000Z',49632,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:49:05.776000Z','2024-02-09T11:51:19.526000Z','2024-02-09T11:51:27.575000Z',8049,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:49:05.777000Z','2024-02-09T11:51:27.725000Z','2024-02-09T11:52:42.755000Z',75030,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:49:05.778000Z','2024-02-09T11:52:42.905000Z','2024-02-09T11:54:22.923000Z',100018,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:49:05.779000Z','2024-02-09T11:54:23.073000Z','2024-02-09T11:54:40.420000Z',17347,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65c611311588440b77355bb6','65c611318f2a6c0008000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-09T11:49:05.780000Z','2024-02-09T11:54:40.570000Z','2024-02-09T11:54:41.752000Z',1182,'https://app.wercker.com/api/v3/runsteps/65c611318f2a6c0008000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-15T15:48:47.574000Z','2024-02-15T15:49:40.597000Z','2024-02-15T15:49:41.159000Z',562,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-15T15:48:47.575000Z','2024-02-15T15:49:41.309000Z','2024-02-15T15:49:55.170000Z',13861,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:48:47.576000Z','2024-02-15T15:49:55.320000Z','2024-02-15T15:50:48.413000Z',53093,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:48:47.577000Z','2024-02-15T15:50:48.563000Z','2024-02-15T15:51:01.104000Z',12541,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:48:47.578000Z','2024-02-15T15:51:01.254000Z','2024-02-15T15:52:31.036000Z',89782,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:48:47.579000Z','2024-02-15T15:52:31.186000Z','2024-02-15T15:53:57.801000Z',86615,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:48:47.580000Z','2024-02-15T15:53:57.951000Z','2024-02-15T15:54:18.545000Z',20594,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65ce325f1588440b77355bb7','65ce325f8f2a6c0009000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-15T15:48:47.581000Z','2024-02-15T15:54:18.695000Z','2024-02-15T15:54:20.496000Z',1801,'https://app.wercker.com/api/v3/runsteps/65ce325f8f2a6c0009000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-20T16:41:13.406000Z','2024-02-20T16:41:55.722000Z','2024-02-20T16:41:56.269000Z',547,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-20T16:41:13.407000Z','2024-02-20T16:41:56.419000Z','2024-02-20T16:42:18.227000Z',21808,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:41:13.408000Z','2024-02-20T16:42:18.377000Z','2024-02-20T16:43:00.478000Z',42101,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:41:13.409000Z','2024-02-20T16:43:00.628000Z','2024-02-20T16:43:09.254000Z',8626,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:41:13.410000Z','2024-02-20T16:43:09.404000Z','2024-02-20T16:44:45.360000Z',95956,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:41:13.411000Z','2024-02-20T16:44:45.510000Z','2024-02-20T16:46:24.918000Z',99408,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:41:13.412000Z','2024-02-20T16:46:25.068000Z','2024-02-20T16:46:51.138000Z',26070,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65d4d6291588440b77355bb8','65d4d6298f2a6c000a000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-20T16:41:13.413000Z','2024-02-20T16:46:51.288000Z','2024-02-20T16:46:52.653000Z',1365,'https://app.wercker.com/api/v3/runsteps/65d4d6298f2a6c000a000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-03-07T10:34:42.248000Z','2024-03-07T10:37:57.163000Z','2024-03-07T10:37:57.801000Z',638,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-03-07T10:34:42.249000Z','2024-03-07T10:37:57.951000Z','2024-03-07T10:38:12.107000Z',14156,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-03-07T10:34:42.250000Z','2024-03-07T10:38:12.257000Z','2024-03-07T10:39:07.350000Z',55093,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-03-07T10:34:42.251000Z','2024-03-07T10:39:07.500000Z','2024-03-07T10:39:17.434000Z',9934,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-03-07T10:34:42.252000Z','2024-03-07T10:39:17.584000Z','2024-03-07T10:40:51.845000Z',94261,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-03-07T10:34:42.253000Z','2024-03-07T10:40:51.995000Z','2024-03-07T10:42:38.264000Z',106269,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-03-07T10:34:42.254000Z','2024-03-07T10:42:38.414000Z','2024-03-07T10:42:57.315000Z',18901,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65e998421588440b77355bb9','65e998428f2a6c000b000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-03-07T10:34:42.255000Z','2024-03-07T10:42:57.465000Z','2024-03-07T10:42:59.209000Z',1744,'https://app.wercker.com/api/v3/runsteps/65e998428f2a6c000b000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-03-08T11:04:32.676000Z','2024-03-08T11:05:06.628000Z','2024-03-08T11:05:07.381000Z',753,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-03-08T11:04:32.677000Z','2024-03-08T11:05:07.531000Z','2024-03-08T11:05:21.239000Z',13708,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-03-08T11:04:32.678000Z','2024-03-08T11:05:21.389000Z','2024-03-08T11:06:16.503000Z',55114,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-03-08T11:04:32.679000Z','2024-03-08T11:06:16.653000Z','2024-03-08T11:06:25.004000Z',8351,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-03-08T11:04:32.680000Z','2024-03-08T11:06:25.154000Z','2024-03-08T11:08:23.157000Z',118003,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-03-08T11:04:32.681000Z','2024-03-08T11:08:23.307000Z','2024-03-08T11:09:41.568000Z',78261,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-03-08T11:04:32.682000Z','2024-03-08T11:09:41.718000Z','2024-03-08T11:10:01.000000Z',19282,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'65eaf0c01588440b77355bba','65eaf0c08f2a6c000c000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-03-08T11:04:32.683000Z','2024-03-08T11:10:01.150000Z','2024-03-08T11:10:02.213000Z',1063,'https://app.wercker.com/api/v3/runsteps/65eaf0c08f2a6c000c000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66158c971588440b77355bbb','66158c978f2a6c000d000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-04-09T18:44:39.585000Z','2024-04-09T18:44:48.534000Z','2024-04-09T18:44:49.289000Z',755,'https://app.wercker.com/api/v3/runsteps/66158c978f2a6c000d000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66158c971588440b77355bbb','66158c978f2a6c000d000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-04-09T18:44:39.586000Z','2024-04-09T18:44:49.439000Z','2024-04-09T18:45:01.421000Z',11982,'https://app.wercker.com/api/v3/runsteps/66158c978f2a6c000d000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66158c971588440b77355bbb','66158c978f2a6c000d000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-04-09T18:44:39.587000Z','2024-04-09T18:45:01.571000Z','2024-04-09T18:45:45.880000Z',44309,'https://app.wercker.com/api/v3/runsteps/66158c978f2a6c000d000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66158c971588440b77355bbb','66158c978f2a6c000d000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-04-09T18:44:39.588000Z','2024-04-09T18:45:46.030000Z','2024-04-09T18:45:54.018000Z',7988,'https://app.wercker.com/api/v3/runsteps/66158c978f2a6c000d000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66158c971588440b77355bbb','66158c978f2a6c000d000005',5,NULL,'unit tests','mainSteps','finished','aborted',NULL,NULL,'2024-04-09T18:44:39.589000Z','2024-04-09T18:45:54.168000Z','2024-04-09T18:47:34.343000Z',100175,'https://app.wercker.com/api/v3/runsteps/66158c978f2a6c000d000005/log',NULL,NULL,NULL,'cancellation');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-04-10T19:03:32.573000Z','2024-04-10T19:03:39.014000Z','2024-04-10T19:03:39.647000Z',633,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-04-10T19:03:32.574000Z','2024-04-10T19:03:39.797000Z','2024-04-10T19:03:55.196000Z',15399,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-04-10T19:03:32.575000Z','2024-04-10T19:03:55.346000Z','2024-04-10T19:04:40.614000Z',45268,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-04-10T19:03:32.576000Z','2024-04-10T19:04:40.764000Z','2024-04-10T19:04:48.838000Z',8074,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-04-10T19:03:32.577000Z','2024-04-10T19:04:48.988000Z','2024-04-10T19:06:41.276000Z',112288,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-04-10T19:03:32.578000Z','2024-04-10T19:06:41.426000Z','2024-04-10T19:07:52.974000Z',71548,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-04-10T19:03:32.579000Z','2024-04-10T19:07:53.124000Z','2024-04-10T19:08:08.718000Z',15594,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6616e2841588440b77355bbc','6616e2848f2a6c000e000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-04-10T19:03:32.580000Z','2024-04-10T19:08:08.868000Z','2024-04-10T19:08:10.251000Z',1383,'https://app.wercker.com/api/v3/runsteps/6616e2848f2a6c000e000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-05-01T09:51:28.822000Z','2024-05-01T09:52:21.034000Z','2024-05-01T09:52:21.712000Z',678,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-05-01T09:51:28.823000Z','2024-05-01T09:52:21.862000Z','2024-05-01T09:52:37.126000Z',15264,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000003',3,NULL,'install dependencies','mainSteps','finished','failed',NULL,NULL,'2024-05-01T09:51:28.824000Z','2024-05-01T09:52:37.276000Z','2024-05-01T09:52:51.191000Z',13915,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000003/log',NULL,NULL,NULL,'failure');
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000004',4,NULL,'lint','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-01T09:51:28.825000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000004/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000005',5,NULL,'unit tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-01T09:51:28.826000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000005/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000006',6,NULL,'browser tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-01T09:51:28.827000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000006/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000007',7,NULL,'package','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-01T09:51:28.828000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000007/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'663210a01588440b77355bbd','663210a08f2a6c000f000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-05-01T09:51:28.829000Z','2024-05-01T09:52:51.341000Z','2024-05-01T09:52:52.489000Z',1148,'https://app.wercker.com/api/v3/runsteps/663210a08f2a6c000f000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-05-02T10:45:39.128000Z','2024-05-02T10:46:50.803000Z','2024-05-02T10:46:51.586000Z',783,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-05-02T10:45:39.129000Z','2024-05-02T10:46:51.736000Z','2024-05-02T10:47:04.551000Z',12815,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-05-02T10:45:39.130000Z','2024-05-02T10:47:04.701000Z','2024-05-02T10:47:41.448000Z',36747,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000004',4,NULL,'lint','mainSteps','finished','passed',NULL,NULL,'2024-05-02T10:45:39.131000Z','2024-05-02T10:47:41.598000Z','2024-05-02T10:47:51.342000Z',9744,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000005',5,NULL,'unit tests','mainSteps','finished','passed',NULL,NULL,'2024-05-02T10:45:39.132000Z','2024-05-02T10:47:51.492000Z','2024-05-02T10:49:50.064000Z',118572,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000006',6,NULL,'browser tests','mainSteps','finished','passed',NULL,NULL,'2024-05-02T10:45:39.133000Z','2024-05-02T10:49:50.214000Z','2024-05-02T10:51:12.895000Z',82681,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000007',7,NULL,'package','mainSteps','finished','passed',NULL,NULL,'2024-05-02T10:45:39.134000Z','2024-05-02T10:51:13.045000Z','2024-05-02T10:51:30.182000Z',17137,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66336ed31588440b77355bbe','66336ed38f2a6c0010000008',8,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-05-02T10:45:39.135000Z','2024-05-02T10:51:30.332000Z','2024-05-02T10:51:31.387000Z',1055,'https://app.wercker.com/api/v3/runsteps/66336ed38f2a6c0010000008/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-05-03T14:13:57.996000Z','2024-05-03T14:15:59.056000Z','2024-05-03T14:15:59.642000Z',586,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-05-03T14:13:57.997000Z','2024-05-03T14:15:59.792000Z','2024-05-03T14:16:12.344000Z',12552,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000003',3,NULL,'install dependencies','mainSteps','finished','aborted',NULL,NULL,'2024-05-03T14:13:57.998000Z','2024-05-03T14:16:12.494000Z','2024-05-03T14:17:06.757000Z',54263,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000003/log',NULL,NULL,NULL,'cancellation');
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000004',4,NULL,'lint','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-03T14:13:57.999000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000004/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000005',5,NULL,'unit tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-03T14:13:58.000000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000005/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000006',6,NULL,'browser tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-03T14:13:58.001000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000006/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000007',7,NULL,'package','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-03T14:13:58.002000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000007/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'6634f1251588440b77355bbf','6634f1258f2a6c0011000008',8,NULL,'notify slack','finalSteps','notstarted','unknown',NULL,NULL,'2024-05-03T14:13:58.003000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/6634f1258f2a6c0011000008/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-05-03T18:25:05.995000Z','2024-05-03T18:25:36.662000Z','2024-05-03T18:25:37.429000Z',767,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-05-03T18:25:05.996000Z','2024-05-03T18:25:37.579000Z','2024-05-03T18:25:54.727000Z',17148,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000003',3,NULL,'install dependencies','mainSteps','finished','passed',NULL,NULL,'2024-05-03T18:25:05.997000Z','2024-05-03T18:25:54.877000Z','2024-05-03T18:26:41.002000Z',46125,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000004',4,NULL,'lint','mainSteps','finished','aborted',NULL,NULL,'2024-05-03T18:25:05.998000Z','2024-05-03T18:26:41.152000Z','2024-05-03T18:26:48.032000Z',6880,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000004/log',NULL,NULL,NULL,'cancellation');
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000005',5,NULL,'unit tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-03T18:25:05.999000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000005/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000006',6,NULL,'browser tests','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-03T18:25:06.000000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000006/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000007',7,NULL,'package','mainSteps','notstarted','unknown',NULL,NULL,'2024-05-03T18:25:06.001000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000007/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(1,'66352c011588440b77355bc0','66352c018f2a6c0012000008',8,NULL,'notify slack','finalSteps','notstarted','unknown',NULL,NULL,'2024-05-03T18:25:06.002000Z',NULL,NULL,NULL,'https://app.wercker.com/api/v3/runsteps/66352c018f2a6c0012000008/log',NULL,NULL,NULL,NULL);
INSERT INTO "steps" VALUES(2,'659fc5e41588440b77355bc1','659fc5e48f2a6c0013000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-01-11T10:41:40.369000Z','2024-01-11T10:42:37.206000Z','2024-01-11T10:42:37.645000Z',439,'https://app.wercker.com/api/v3/runsteps/659fc5e48f2a6c0013000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'659fc5e41588440b77355bc1','659fc5e48f2a6c0013000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-01-11T10:41:40.370000Z','2024-01-11T10:42:37.795000Z','2024-01-11T10:42:47.217000Z',9422,'https://app.wercker.com/api/v3/runsteps/659fc5e48f2a6c0013000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'659fc5e41588440b77355bc1','659fc5e48f2a6c0013000003',3,NULL,'push image','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:41:40.371000Z','2024-01-11T10:42:47.367000Z','2024-01-11T10:43:11.361000Z',23994,'https://app.wercker.com/api/v3/runsteps/659fc5e48f2a6c0013000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'659fc5e41588440b77355bc1','659fc5e48f2a6c0013000004',4,NULL,'migrate database','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:41:40.372000Z','2024-01-11T10:43:11.511000Z','2024-01-11T10:43:16.757000Z',5246,'https://app.wercker.com/api/v3/runsteps/659fc5e48f2a6c0013000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'659fc5e41588440b77355bc1','659fc5e48f2a6c0013000005',5,NULL,'roll out','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:41:40.373000Z','2024-01-11T10:43:16.907000Z','2024-01-11T10:44:00.545000Z',43638,'https://app.wercker.com/api/v3/runsteps/659fc5e48f2a6c0013000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'659fc5e41588440b77355bc1','659fc5e48f2a6c0013000006',6,NULL,'smoke tests','mainSteps','finished','passed',NULL,NULL,'2024-01-11T10:41:40.374000Z','2024-01-11T10:44:00.695000Z','2024-01-11T10:44:15.007000Z',14312,'https://app.wercker.com/api/v3/runsteps/659fc5e48f2a6c0013000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'659fc5e41588440b77355bc1','659fc5e48f2a6c0013000007',7,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-01-11T10:41:40.375000Z','2024-01-11T10:44:15.157000Z','2024-01-11T10:44:16.044000Z',887,'https://app.wercker.com/api/v3/runsteps/659fc5e48f2a6c0013000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ba2c581588440b77355bc2','65ba2c588f2a6c0014000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-01-31T11:17:44.738000Z','2024-01-31T11:18:50.817000Z','2024-01-31T11:18:51.227000Z',410,'https://app.wercker.com/api/v3/runsteps/65ba2c588f2a6c0014000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ba2c581588440b77355bc2','65ba2c588f2a6c0014000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-01-31T11:17:44.739000Z','2024-01-31T11:18:51.377000Z','2024-01-31T11:18:59.972000Z',8595,'https://app.wercker.com/api/v3/runsteps/65ba2c588f2a6c0014000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ba2c581588440b77355bc2','65ba2c588f2a6c0014000003',3,NULL,'push image','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:17:44.740000Z','2024-01-31T11:19:00.122000Z','2024-01-31T11:19:21.511000Z',21389,'https://app.wercker.com/api/v3/runsteps/65ba2c588f2a6c0014000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ba2c581588440b77355bc2','65ba2c588f2a6c0014000004',4,NULL,'migrate database','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:17:44.741000Z','2024-01-31T11:19:21.661000Z','2024-01-31T11:19:25.314000Z',3653,'https://app.wercker.com/api/v3/runsteps/65ba2c588f2a6c0014000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ba2c581588440b77355bc2','65ba2c588f2a6c0014000005',5,NULL,'roll out','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:17:44.742000Z','2024-01-31T11:19:25.464000Z','2024-01-31T11:19:51.352000Z',25888,'https://app.wercker.com/api/v3/runsteps/65ba2c588f2a6c0014000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ba2c581588440b77355bc2','65ba2c588f2a6c0014000006',6,NULL,'smoke tests','mainSteps','finished','passed',NULL,NULL,'2024-01-31T11:17:44.743000Z','2024-01-31T11:19:51.502000Z','2024-01-31T11:20:08.577000Z',17075,'https://app.wercker.com/api/v3/runsteps/65ba2c588f2a6c0014000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ba2c581588440b77355bc2','65ba2c588f2a6c0014000007',7,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-01-31T11:17:44.744000Z','2024-01-31T11:20:08.727000Z','2024-01-31T11:20:09.751000Z',1024,'https://app.wercker.com/api/v3/runsteps/65ba2c588f2a6c0014000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65bcb2df1588440b77355bc3','65bcb2df8f2a6c0015000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-02T09:16:15.186000Z','2024-02-02T14:04:56.459000Z','2024-02-02T14:04:56.882000Z',423,'https://app.wercker.com/api/v3/runsteps/65bcb2df8f2a6c0015000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65bcb2df1588440b77355bc3','65bcb2df8f2a6c0015000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-02T09:16:15.187000Z','2024-02-02T14:04:57.032000Z','2024-02-02T14:05:08.140000Z',11108,'https://app.wercker.com/api/v3/runsteps/65bcb2df8f2a6c0015000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65bcb2df1588440b77355bc3','65bcb2df8f2a6c0015000003',3,NULL,'push image','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:16:15.188000Z','2024-02-02T14:05:08.290000Z','2024-02-02T14:05:37.360000Z',29070,'https://app.wercker.com/api/v3/runsteps/65bcb2df8f2a6c0015000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65bcb2df1588440b77355bc3','65bcb2df8f2a6c0015000004',4,NULL,'migrate database','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:16:15.189000Z','2024-02-02T14:05:37.510000Z','2024-02-02T14:05:43.132000Z',5622,'https://app.wercker.com/api/v3/runsteps/65bcb2df8f2a6c0015000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65bcb2df1588440b77355bc3','65bcb2df8f2a6c0015000005',5,NULL,'roll out','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:16:15.190000Z','2024-02-02T14:05:43.282000Z','2024-02-02T14:06:39.260000Z',55978,'https://app.wercker.com/api/v3/runsteps/65bcb2df8f2a6c0015000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65bcb2df1588440b77355bc3','65bcb2df8f2a6c0015000006',6,NULL,'smoke tests','mainSteps','finished','passed',NULL,NULL,'2024-02-02T09:16:15.191000Z','2024-02-02T14:06:39.410000Z','2024-02-02T14:06:58.342000Z',18932,'https://app.wercker.com/api/v3/runsteps/65bcb2df8f2a6c0015000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65bcb2df1588440b77355bc3','65bcb2df8f2a6c0015000007',7,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-02T09:16:15.192000Z','2024-02-02T14:06:58.492000Z','2024-02-02T14:06:59.503000Z',1011,'https://app.wercker.com/api/v3/runsteps/65bcb2df8f2a6c0015000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65c612831588440b77355bc4','65c612838f2a6c0016000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-09T11:54:43.755000Z','2024-02-09T11:55:02.236000Z','2024-02-09T11:55:02.848000Z',612,'https://app.wercker.com/api/v3/runsteps/65c612838f2a6c0016000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65c612831588440b77355bc4','65c612838f2a6c0016000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-09T11:54:43.756000Z','2024-02-09T11:55:02.998000Z','2024-02-09T11:55:14.272000Z',11274,'https://app.wercker.com/api/v3/runsteps/65c612838f2a6c0016000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65c612831588440b77355bc4','65c612838f2a6c0016000003',3,NULL,'push image','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:54:43.757000Z','2024-02-09T11:55:14.422000Z','2024-02-09T11:55:36.105000Z',21683,'https://app.wercker.com/api/v3/runsteps/65c612838f2a6c0016000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65c612831588440b77355bc4','65c612838f2a6c0016000004',4,NULL,'migrate database','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:54:43.758000Z','2024-02-09T11:55:36.255000Z','2024-02-09T11:55:43.232000Z',6977,'https://app.wercker.com/api/v3/runsteps/65c612838f2a6c0016000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65c612831588440b77355bc4','65c612838f2a6c0016000005',5,NULL,'roll out','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:54:43.759000Z','2024-02-09T11:55:43.382000Z','2024-02-09T11:56:22.093000Z',38711,'https://app.wercker.com/api/v3/runsteps/65c612838f2a6c0016000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65c612831588440b77355bc4','65c612838f2a6c0016000006',6,NULL,'smoke tests','mainSteps','finished','passed',NULL,NULL,'2024-02-09T11:54:43.760000Z','2024-02-09T11:56:22.243000Z','2024-02-09T11:56:40.419000Z',18176,'https://app.wercker.com/api/v3/runsteps/65c612838f2a6c0016000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65c612831588440b77355bc4','65c612838f2a6c0016000007',7,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-09T11:54:43.761000Z','2024-02-09T11:56:40.569000Z','2024-02-09T11:56:41.285000Z',716,'https://app.wercker.com/api/v3/runsteps/65c612838f2a6c0016000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ce33ae1588440b77355bc5','65ce33ae8f2a6c0017000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-15T15:54:22.499000Z','2024-02-15T15:58:23.804000Z','2024-02-15T15:58:24.337000Z',533,'https://app.wercker.com/api/v3/runsteps/65ce33ae8f2a6c0017000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ce33ae1588440b77355bc5','65ce33ae8f2a6c0017000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-15T15:54:22.500000Z','2024-02-15T15:58:24.487000Z','2024-02-15T15:58:33.407000Z',8920,'https://app.wercker.com/api/v3/runsteps/65ce33ae8f2a6c0017000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ce33ae1588440b77355bc5','65ce33ae8f2a6c0017000003',3,NULL,'push image','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:54:22.501000Z','2024-02-15T15:58:33.557000Z','2024-02-15T15:58:56.985000Z',23428,'https://app.wercker.com/api/v3/runsteps/65ce33ae8f2a6c0017000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ce33ae1588440b77355bc5','65ce33ae8f2a6c0017000004',4,NULL,'migrate database','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:54:22.502000Z','2024-02-15T15:58:57.135000Z','2024-02-15T15:59:02.319000Z',5184,'https://app.wercker.com/api/v3/runsteps/65ce33ae8f2a6c0017000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ce33ae1588440b77355bc5','65ce33ae8f2a6c0017000005',5,NULL,'roll out','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:54:22.503000Z','2024-02-15T15:59:02.469000Z','2024-02-15T16:00:02.281000Z',59812,'https://app.wercker.com/api/v3/runsteps/65ce33ae8f2a6c0017000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ce33ae1588440b77355bc5','65ce33ae8f2a6c0017000006',6,NULL,'smoke tests','mainSteps','finished','passed',NULL,NULL,'2024-02-15T15:54:22.504000Z','2024-02-15T16:00:02.431000Z','2024-02-15T16:00:19.254000Z',16823,'https://app.wercker.com/api/v3/runsteps/65ce33ae8f2a6c0017000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65ce33ae1588440b77355bc5','65ce33ae8f2a6c0017000007',7,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-15T15:54:22.505000Z','2024-02-15T16:00:19.404000Z','2024-02-15T16:00:20.077000Z',673,'https://app.wercker.com/api/v3/runsteps/65ce33ae8f2a6c0017000007/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65d4d77e1588440b77355bc6','65d4d77e8f2a6c0018000001',1,NULL,'get code',NULL,'finished','passed',NULL,NULL,'2024-02-20T16:46:54.656000Z','2024-02-20T16:48:05.690000Z','2024-02-20T16:48:06.114000Z',424,'https://app.wercker.com/api/v3/runsteps/65d4d77e8f2a6c0018000001/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65d4d77e1588440b77355bc6','65d4d77e8f2a6c0018000002',2,NULL,'setup environment',NULL,'finished','passed',NULL,NULL,'2024-02-20T16:46:54.657000Z','2024-02-20T16:48:06.264000Z','2024-02-20T16:48:16.012000Z',9748,'https://app.wercker.com/api/v3/runsteps/65d4d77e8f2a6c0018000002/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65d4d77e1588440b77355bc6','65d4d77e8f2a6c0018000003',3,NULL,'push image','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:46:54.658000Z','2024-02-20T16:48:16.162000Z','2024-02-20T16:48:40.176000Z',24014,'https://app.wercker.com/api/v3/runsteps/65d4d77e8f2a6c0018000003/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65d4d77e1588440b77355bc6','65d4d77e8f2a6c0018000004',4,NULL,'migrate database','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:46:54.659000Z','2024-02-20T16:48:40.326000Z','2024-02-20T16:48:47.550000Z',7224,'https://app.wercker.com/api/v3/runsteps/65d4d77e8f2a6c0018000004/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65d4d77e1588440b77355bc6','65d4d77e8f2a6c0018000005',5,NULL,'roll out','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:46:54.660000Z','2024-02-20T16:48:47.700000Z','2024-02-20T16:49:31.702000Z',44002,'https://app.wercker.com/api/v3/runsteps/65d4d77e8f2a6c0018000005/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65d4d77e1588440b77355bc6','65d4d77e8f2a6c0018000006',6,NULL,'smoke tests','mainSteps','finished','passed',NULL,NULL,'2024-02-20T16:46:54.661000Z','2024-02-20T16:49:31.852000Z','2024-02-20T16:49:46.253000Z',14401,'https://app.wercker.com/api/v3/runsteps/65d4d77e8f2a6c0018000006/log',NULL,NULL,NULL,'success');
INSERT INTO "steps" VALUES(2,'65d4d77e1588440b77355bc6','65d4d77e8f2a6c0018000007',7,NULL,'notify slack','finalSteps','finished','passed',NULL,NULL,'2024-02-20T16:46:54.662000Z','2024-02-20T16:49:46.403000Z','2024-02-20T16:49:47.868000Z',1465,'https://app.wercker.com/api/v3/runsteps/65d4d77e8f2a6c0018000007/log',NULL,NULL,NULL,'success');
CREATE TABLE syncs (
	id INTEGER NOT NULL, 
	listing TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	outcome TEXT NOT NULL, 
	requests INTEGER NOT NULL, 
	runs_new INTEGER NOT NULL, 
	runs_updated INTEGER NOT NULL, 
	steps_written INTEGER NOT NULL, 
	error TEXT, 
	CONSTRAINT pk_syncs PRIMARY KEY (id)
);
INSERT INTO "syncs" VALUES(1,'wercker/pipeline/659a92401588440b77355bad','2026-11-30T15:54:32.485770Z','2026-11-30T15:54:32.577787Z','ok',21,18,0,141,NULL);
INSERT INTO "syncs" VALUES(2,'wercker/pipeline/659a92401588440b77355bae','2026-11-30T15:54:32.488607Z','2026-11-30T15:54:32.576857Z','ok',9,6,0,42,NULL);
CREATE UNIQUE INDEX uq_pipelines_source_external_id ON pipelines (source, external_id);
CREATE INDEX ix_runs_created_at ON runs (created_at);
CREATE INDEX ix_runs_unsettled ON runs (pipeline_id, id) WHERE NOT settled;
CREATE INDEX ix_syncs_listing_started_at ON syncs (listing, started_at);
CREATE INDEX ix_syncs_listing_outcome_started_at ON syncs (listing, outcome, started_at);
CREATE VIEW v_runs AS
SELECT
    p.source, p.name AS pipeline,
    r.pipeline_id, r.id, r.attempt, r.branch, r.commit_hash, r.message, r.author, r.author_id,
    r.status, r.result, r.raw_status, r.raw_result, r.progress, r.created_at, r.started_at,
    r.finished_at, r.queued_ms, r.duration_ms, r.source_run_id, r.url, r.extra, r.steps_synced_at,
    r.settled, r.first_seen_at, r.last_seen_at, r.vanished_at,
    CAST(r.queued_ms AS double precision) / 1000 AS queued_s,
    CAST(r.duration_ms AS double precision) / 1000 AS duration_s,
    CASE WHEN r.status = 'finished' THEN 1 ELSE 0 END AS is_finished,
    CASE WHEN r.status = 'finished' AND r.result = 'passed' THEN 1 ELSE 0 END AS is_passed,
    CASE WHEN r.status = 'finished' AND r.result = 'failed' THEN 1 ELSE 0 END AS is_failed,
    CASE WHEN r.status = 'finished' AND r.result = 'aborted' THEN 1 ELSE 0 END AS is_aborted,
    CASE WHEN r.status = 'finished' AND r.result = 'skipped' THEN 1 ELSE 0 END AS is_skipped,
    CASE WHEN r.status = 'finished' AND r.result IN ('passed', 'failed') THEN 1 ELSE 0 END
        AS in_rate,
    CASE WHEN r.status = 'finished' AND r.result = 'aborted' AND r.started_at IS NULL
        THEN 1 ELSE 0 END AS never_started,
    r.number, r.event, r.outcome, r.web_url,
    CASE WHEN r.status = 'finished' AND r.outcome = 'error' THEN 1 ELSE 0 END AS is_error
FROM runs AS r
LEFT JOIN pipelines AS p ON p.id = r.pipeline_id;
CREATE VIEW v_steps AS
SELECT
    p.source, p.name AS pipeline,
    s.pipeline_id, s.run_id, s.id, s.position, s.job, s.name, s.phase, s.status, s.result,
    s.raw_status, s.raw_result, s.created_at, s.started_at, s.finished_at, s.duration_ms,
    s.log_url, s.artifacts_url, s.extra,
    r.branch, r.commit_hash, r.author,
    r.created_at AS run_created_at,
    r.result AS run_result,
    CASE WHEN r.status = 'finished' AND r.result = 'aborted' THEN 1 ELSE 0 END AS run_is_aborted,
    CASE WHEN s.started_at >= s.created_at THEN ROUND((julianday(s.started_at) - julianday(s.created_at)) * 86400, 3) END AS queued_s,
    CAST(s.duration_ms AS double precision) / 1000 AS duration_s,
    CASE WHEN s.status = 'finished' THEN 1 ELSE 0 END AS is_finished,
    CASE WHEN s.status = 'finished' AND s.result = 'passed' THEN 1 ELSE 0 END AS is_passed,
    CASE WHEN s.status = 'finished' AND s.result = 'failed' THEN 1 ELSE 0 END AS is_failed,
    CASE WHEN s.status = 'finished' AND s.result IN ('passed', 'failed') THEN 1 ELSE 0 END
        AS in_rate,
    CASE WHEN s.status = 'finished' AND s.result <> 'skipped' AND s.duration_ms IS NOT NULL
        THEN 1 ELSE 0 END AS ran,
    s.runner, s.outcome, r.event, r.number, r.web_url, r.outcome AS run_outcome,
    CASE WHEN s.status = 'finished' AND s.outcome = 'error' THEN 1 ELSE 0 END AS is_error
FROM steps AS s
LEFT JOIN runs AS r ON r.pipeline_id = s.pipeline_id AND r.id = s.run_id
LEFT JOIN pipelines AS p ON p.id = s.pipeline_id;
CREATE VIEW v_daily_pass_rates AS
SELECT
    source, pipeline, pipeline_id, date(created_at) AS day,
    SUM(is_finished) AS finished,
    SUM(is_passed) AS passed,
    SUM(is_failed) AS failed,
    SUM(is_aborted) AS aborted,
    SUM(is_skipped) AS skipped,
    SUM(is_finished - in_rate - is_aborted - is_skipped) AS unknown,
    CAST(SUM(is_passed) AS double precision) / NULLIF(SUM(in_rate), 0) AS pass_rate
FROM v_runs
WHERE is_finished = 1
GROUP BY source, pipeline, pipeline_id, date(created_at);
CREATE VIEW v_step_durations AS
WITH ranked AS (
    SELECT
        source, pipeline, pipeline_id, job, name AS step, duration_ms AS ms,
        ROW_NUMBER() OVER same - 1 AS rank_,
        LEAD(duration_ms) OVER same AS next_ms,
        COUNT(*) OVER (PARTITION BY pipeline_id, job, name) - 1 AS top
    FROM v_steps
    WHERE ran = 1
    WINDOW same AS (PARTITION BY pipeline_id, job, name ORDER BY duration_ms)
),
placed AS (
    SELECT
        source, pipeline, pipeline_id, job, step, ms,
        CASE WHEN rank_ = top * 50 / 100
            THEN ms + (COALESCE(next_ms, ms) - ms) * ((top * 50 % 100) / 100.0) END AS p50,
        CASE WHEN rank_ = top * 90 / 100
            THEN ms + (COALESCE(next_ms, ms) - ms) * ((top * 90 % 100) / 100.0) END AS p90,
        CASE WHEN rank_ = top * 95 / 100
            THEN ms + (COALESCE(next_ms, ms) - ms) * ((top * 95 % 100) / 100.0) END AS p95
    FROM ranked
)
SELECT
    source, pipeline, pipeline_id, job, step,
    COUNT(*) AS count,
    CAST(AVG(ms) / 1000.0 AS double precision) AS mean_s,
    CAST(MAX(p50) / 1000.0 AS double precision) AS p50_s,
    CAST(MAX(p90) / 1000.0 AS double precision) AS p90_s,
    CAST(MAX(p95) / 1000.0 AS double precision) AS p95_s,
    CAST(MAX(ms) / 1000.0 AS double precision) AS max_s,
    CAST(SUM(ms) / 1000.0 AS double precision) AS total_s
FROM placed
GROUP BY source, pipeline, pipeline_id, job, step;
CREATE VIEW v_daily_aborts AS
SELECT
    source, pipeline, pipeline_id, date(created_at) AS day,
    SUM(is_finished) AS finished,
    SUM(is_aborted) AS aborted,
    SUM(never_started) AS never_started,
    CAST(SUM(is_aborted) AS double precision) / SUM(is_finished) AS abort_rate
FROM v_runs
WHERE is_finished = 1
GROUP BY source, pipeline, pipeline_id, date(created_at);
CREATE TRIGGER runs_insert_month AFTER insert ON runs BEGIN INSERT INTO months (pipeline_id, month, version) VALUES (NEW.pipeline_id, substr(NEW.created_at, 1, 7), lower(hex(randomblob(8)))) ON CONFLICT (pipeline_id, month) DO UPDATE SET version = excluded.version; END;
CREATE TRIGGER runs_update_month AFTER update ON runs BEGIN INSERT INTO months (pipeline_id, month, version) VALUES (NEW.pipeline_id, substr(NEW.created_at, 1, 7), lower(hex(randomblob(8)))) ON CONFLICT (pipeline_id, month) DO UPDATE SET version = excluded.version; UPDATE months SET version = lower(hex(randomblob(8))) WHERE pipeline_id = OLD.pipeline_id AND month = substr(OLD.created_at, 1, 7) AND month <> substr(NEW.created_at, 1, 7); END;
CREATE TRIGGER runs_delete_month AFTER delete ON runs BEGIN INSERT INTO months (pipeline_id, month, version) VALUES (OLD.pipeline_id, substr(OLD.created_at, 1, 7), lower(hex(randomblob(8)))) ON CONFLICT (pipeline_id, month) DO UPDATE SET version = excluded.version; END;
COMMIT;
