# frozen_string_literal: true

require_relative "helper"

# The vectors that the suites of all SDKs read.
class VectorsTest < Minitest::Test
  include Helper

  # Moves on by the waits that it records.
  class Clock
    attr_reader :waits

    def initialize
      @at = 0
      @waits = []
    end

    def call = @at

    def sleep(seconds)
      @waits << seconds
      @at += seconds
    end
  end

  def test_retries
    vectors("retries")["cases"].each do |each|
      time = Clock.new
      sent = transport(*each["answers"].map { |given| answer(given) })
      options = { max_retries: each["max_retries"], deadline: each["deadline"] }.compact
      caller = client(sent, clock: time, sleeper: time.method(:sleep), **options)
      own = each["key"] ? { request_options: { idempotency_key: each["key"] } } : {}
      error = failure { call(caller, each["operation_id"], each["args"], **own) }

      assert_retried(each, error, sent.requests, time.waits)
    end
  end

  def test_paging
    vectors("paging")["cases"].each do |each|
      sent = transport(*each["pages"].map { |page| { body: JSON.generate(page["answer"]) } })
      items = call(client(sent), each["operation_id"], each["args"]).auto_paging_each
      items = each["take"] ? items.lazy.first(each["take"]) : items.to_a

      assert_equal each["ids"], items.map(&:id), each["name"]
      assert_equal each["pages"].map { |page| page["query"] }, sent.requests.map { |one| query(one.url) }, each["name"]
    end
  end

  def test_errors
    vectors("errors")["cases"].each do |each|
      caller = client(transport(answer(each)), max_retries: 0)
      error = failure { call(caller, each["operation_id"], each["args"]) }
      expected = each["error"]

      assert_equal expected["name"], kind(error), each["name"]
      assert_equal expected.except("name"), attributes(error), each["name"]
      text = [error.message, error.inspect, error.response.inspect, caller.inspect, caller.messages.inspect].join

      refute_includes text, each["never_in_text"]
      [expected["code"], expected["request_id"]].compact.each { |part| assert_includes error.message, part }
    end
  end

  def test_kinds_of_errors
    vectors("errors")["kinds"].each do |type, name|
      body = JSON.generate("error" => { "type" => type, "code" => "x", "message" => "y" })

      assert_equal name, kind(failure { client(transport({ status: 418, body: body })).credits.retrieve })
    end
  end

  def test_signatures
    vectors("signatures")["cases"].each do |each|
      options = { tolerance: each["tolerance"], now: Time.at(each["now"]) }.compact
      payload = each["payload_base64"].unpack1("m")
      error = failure { MassiveSMS::Webhooks.verify(payload, each["header"], each["secret"], **options) }
      if each["valid"]
        assert_nil error, each["name"]
      else
        assert_equal each["reason"], error.reason.to_s, each["name"]
        refute_includes error.message, each["secret"] unless each["secret"].empty?
      end
    end
  end

  def test_standard_webhooks
    vectors("signatures")["standard"].each do |each|
      options = { tolerance: each["tolerance"], now: Time.at(each["now"]) }.compact
      payload = each["payload_base64"].unpack1("m")
      rack = each["headers"].transform_keys { |name| "HTTP_#{name.upcase.tr("-", "_")}" }
      [each["headers"], rack].each do |headers|
        error = failure { MassiveSMS::Webhooks.construct_standard_event(payload, headers, each["secret"], **options) }

        assert_equal each["reason"], error&.reason&.to_s, each["name"]
      end
    end
  end

  def test_signed_bodies_that_are_no_events
    vectors("signatures")["no_events"].each do |each|
      payload = each["payload_base64"].unpack1("m")
      header = MassiveSMS::Webhooks.sign(payload, "whsec_a")
      error = failure { MassiveSMS::Webhooks.construct_event(payload, header, "whsec_a") }

      assert_equal "InvalidPayloadError", kind(error), each["name"]
    end
  end

  def test_signing
    vectors("signatures")["signing"].each do |each|
      payload = each["payload_base64"].unpack1("m")

      assert_equal each["header"], MassiveSMS::Testing.sign(payload, each["secret"], timestamp: each["timestamp"])
    end
  end

  def test_events
    vectors("events")["cases"].each do |each|
      payload = each["payload"]
      header = MassiveSMS::Testing.sign(payload, "whsec_x")
      event = MassiveSMS::Webhooks.construct_event(payload, header, "whsec_x")

      assert_equal [each["type"], each["id"]], [event.type, event.id], each["name"]
      assert_equal each["known"], event.class != MassiveSMS::Event, each["name"]
      assert_equal each["known"], event.data.is_a?(MassiveSMS::Model), each["name"]
      each["data_fields"].each { |name, value| assert_same_value value, event.data[name], "#{each["name"]} #{name}" }

      assert_equal JSON.parse(payload), event.to_h
      assert_equal event, client(transport({ body: payload })).events.retrieve("evt_1")
    end
  end

  def test_encodings
    read = vectors("encodings")
    read["cases"].each do |each|
      sent = transport({})
      error = failure { call(client(sent), each["operation_id"], each["args"]) }
      if each["error"]
        assert_equal [each["error"], 0], [kind(error), sent.requests.size], each["name"]
      else
        assert_nil error, each["name"]
        assert_sent each, sent.requests.first
        read["headers"].each do |name, pattern|
          assert_match Regexp.new(pattern.gsub("{language}", "ruby")), sent.requests.first.headers[name]
        end
      end
    end
  end

  def test_times
    vectors("encodings")["times"].each do |each|
      sent = transport({})
      at = Time.at(each["epoch"], in: each["offset_minutes"].zero? ? "UTC" : each["offset_minutes"] * 60)
      client(sent).messages.create(to: "+14155550123", body: "x", scheduled_at: at)

      assert_equal each["wire"], JSON.parse(sent.requests.first.body)["scheduled_at"]
    end
  end

  def test_keys
    vectors("encodings")["keys"].each do |each|
      made = nil
      error = failure { made = MassiveSMS::Client.new(api_key: each["key"]) }
      if each["valid"]
        assert_equal each["livemode"], made.livemode?
      else
        assert_kind_of MassiveSMS::ConfigurationError, error, each["key"]
        refute_includes error.message, each["key"] unless each["key"].empty?
      end
    end
  end

  def test_base_urls
    vectors("encodings")["base_urls"].each do |each|
      made = nil
      error = failure { made = MassiveSMS::Client.new(api_key: MassiveSMS::Testing::KEY, base_url: each["base_url"]) }

      assert_equal [each["url"]], [made&.base_url], each["base_url"]
      assert_kind_of MassiveSMS::ConfigurationError, error if each["url"].nil?
    end
  end

  private

  def failure
    yield
    nil
  rescue MassiveSMS::Error => e
    e
  end

  def assert_retried(each, error, requests, waits)
    each["result"] ? assert_nil(error, each["name"]) : assert_equal(each["error"], kind(error), each["name"])
    assert_equal each["code"], error.code, each["name"] if each["code"]
    assert_equal [each["tries"], each["waits"].size], [requests.size, waits.size], each["name"]
    waits.zip(each["waits"]) { |wait, (low, high)| assert_includes low..high, wait, each["name"] }
    keys = requests.map { |one| one.headers["Idempotency-Key"] }.uniq

    assert_equal 1, keys.size, each["name"]
    assert_equal requests.first.http_method == "GET", keys.first.nil?
    assert_equal each["key"], keys.first if each["key"]
    error && keys.first ? assert_equal(keys.first, error.idempotency_key, each["name"]) : pass
  end

  def attributes(error)
    %w[status type code message param request_id required available resets_at existing_id retry_after].to_h do |name|
      [name, error.public_send(name == "message" ? :api_message : name)]
    end
  end

  def assert_same_value(expected, found, about)
    found = found.iso8601 if found.is_a?(Time)
    found = found.to_h if found.is_a?(MassiveSMS::Model)
    expected.nil? ? assert_nil(found, about) : assert_equal(expected, found, about)
  end

  def assert_sent(each, request)
    target, expected_query = each["target"].split("?")

    assert_equal [each["method"], BASE_URL + target], [request.http_method, request.url.split("?").first], each["name"]
    assert_equal expected_query.to_s.split("&").sort, request.url.split("?")[1].to_s.split("&").sort, each["name"]
    body = request.body && JSON.parse(request.body)
    each["body"].nil? ? assert_nil(body, each["name"]) : assert_equal(each["body"], body, each["name"])
  end

  def query(url) = URI.decode_www_form(URI(url).query.to_s).to_h
end
