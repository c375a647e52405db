-- SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
-- The tables of Mosquitto's persist-sqlite, with a row in each.
CREATE TABLE base_msgs (store_id INT64 PRIMARY KEY, expiry_time INT64, topic STRING NOT NULL,
    payload BLOB, source_id STRING, source_username STRING, payloadlen INTEGER, source_mid INTEGER,
    source_port INTEGER, qos INTEGER, retain INTEGER, properties STRING);
CREATE TABLE retains (topic STRING PRIMARY KEY, store_id INT64);
CREATE TABLE clients (client_id TEXT PRIMARY KEY, username TEXT, connection_time INT64,
    will_delay_time INT64, session_expiry_time INT64, listener_port INT, max_packet_size INT,
    max_qos INT, retain_available INT, session_expiry_interval INT, will_delay_interval INT);
CREATE TABLE subscriptions (client_id TEXT NOT NULL, topic TEXT NOT NULL,
    subscription_options INTEGER, subscription_identifier INTEGER, PRIMARY KEY (client_id, topic));
CREATE TABLE client_msgs (client_id TEXT NOT NULL, cmsg_id INT64, store_id INT64, dup INTEGER,
    direction INTEGER, mid INTEGER, qos INTEGER, retain INTEGER, state INTEGER,
    subscription_identifier INTEGER);
CREATE TABLE wills (client_id TEXT PRIMARY KEY, payload BLOB, topic STRING NOT NULL,
    payloadlen INTEGER, qos INTEGER, retain INTEGER, properties STRING);
INSERT INTO base_msgs VALUES (7, 0, 'a/b', x'00ff', 'me', 'user', 2, 3, 1883, 1, 0,
    '[{"identifier":"content-type","value":"x"},{"identifier":"user-property","name":"a","value":"b"}]');
INSERT INTO base_msgs VALUES (8, 9999999999, '007', NULL, NULL, NULL, 0, 0, 0, 2, 1, NULL);
INSERT INTO retains VALUES ('007', 8);
INSERT INTO clients VALUES ('c', 'user', 0, 0, 0, 1883, 0, 2, 1, 4294967295, 0);
INSERT INTO subscriptions VALUES ('c', 'a/#', 1, 5);
INSERT INTO client_msgs VALUES ('c', 1, 7, 0, 1, 1, 1, 0, 11, 5);
INSERT INTO wills VALUES ('c', x'62', 'gone', 1, 1, 0, '[{"identifier":"will-delay-interval","value":5}]');
