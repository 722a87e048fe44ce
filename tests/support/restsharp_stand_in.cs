// The calls of RestSharp that docs/clients/csharp makes, with the results that RestSharp 112 gives: a status of 0 if
// there is no answer. It stands in for RestSharp if NuGet is out of reach (tests/support/partner_clients.py).

using System;
using System.Collections.Generic;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Text;
using System.Threading.Tasks;

namespace RestSharp
{
    public enum Method { Post }
    public enum DataFormat { Json }

    public class RestClientOptions
    {
        public RestClientOptions(string baseUrl) { BaseUrl = new Uri(baseUrl); }
        public Uri BaseUrl { get; }
        public TimeSpan? Timeout { get; set; }
    }

    public class RestRequest
    {
        public RestRequest(string resource, Method method) { Resource = resource; }
        public string Resource { get; }
        public string Body { get; private set; }
        public List<KeyValuePair<string, string>> Headers { get; } = new List<KeyValuePair<string, string>>();

        public RestRequest AddHeader(string name, string value)
        {
            Headers.Add(new KeyValuePair<string, string>(name, value));
            return this;
        }

        public RestRequest AddStringBody(string body, DataFormat format)
        {
            Body = body;
            return this;
        }
    }

    public class RestResponse
    {
        public HttpStatusCode StatusCode { get; set; }
        public string Content { get; set; }
        public string ErrorMessage { get; set; }
        public HttpResponseMessage Message { get; set; }

        public string GetHeaderValue(string name) =>
            Message != null && Message.Headers.TryGetValues(name, out var values) ? values.First() : null;
    }

    public class RestClient : IDisposable
    {
        readonly RestClientOptions _options;
        readonly HttpClient _client = new HttpClient();

        public RestClient(RestClientOptions options)
        {
            _options = options;
            _client.Timeout = options.Timeout ?? TimeSpan.FromSeconds(100);
        }

        public async Task<RestResponse> ExecuteAsync(RestRequest request)
        {
            var message = new HttpRequestMessage(HttpMethod.Post, new Uri(_options.BaseUrl, request.Resource))
            {
                Content = new StringContent(request.Body, Encoding.UTF8, "application/json"),
            };
            foreach (var header in request.Headers) message.Headers.Add(header.Key, header.Value);
            try
            {
                var answer = await _client.SendAsync(message);
                var content = await answer.Content.ReadAsStringAsync();
                return new RestResponse { StatusCode = answer.StatusCode, Content = content, Message = answer };
            }
            catch (Exception error) when (error is HttpRequestException || error is OperationCanceledException)
            {
                return new RestResponse { ErrorMessage = error.Message };
            }
        }

        public void Dispose() => _client.Dispose();
    }
}
